// The button below "In five minutes" that opens and closes all folds of the chapter.
for (const foot of document.querySelectorAll(".im-five-times")) {
  const folds = () => [...document.querySelectorAll(".bd-article details")];
  const allOpen = () => folds().every(fold => fold.open);
  const button = Object.assign(document.createElement("button"), { type: "button", className: "im-five-folds" });
  const say = () => button.textContent = allOpen() ? "close all folds" : "open all folds";
  button.addEventListener("click", () => {
    const open = !allOpen();
    for (const fold of folds()) fold.open = open;
    say();
  });
  document.addEventListener("toggle", say, true);  // it does not bubble
  say();
  if (folds().length) foot.append(button);
}
