// A link to what lies in a fold opens it, and what it lies in.
const named = text => { try { return decodeURIComponent(text); } catch { return text; } };  // "#%E0" is no text
const reveal = () => {
  const target = document.getElementById(named(location.hash.slice(1)));
  const folds = [];
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
  if (!folds.some(fold => !fold.open)) return;
  for (const fold of folds) fold.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
addEventListener("click", event => event.target.closest("a[href*='#']") && setTimeout(reveal));  // again the same link
reveal();

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
