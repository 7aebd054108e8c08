// Answers to exercises, checked in the page, and kept in this browser alone. Without this script an exercise has no row.
(() => {
  const OURS = "implicitly/", PLACE = OURS + "answer/";

  // Storage may be denied, full, or hold what somebody else has put there.
  const kept = (act) => {
    try {
      return act(localStorage);
    } catch {
      return null;
    }
  };

  // Arithmetic as one types it: 3/16, 1e-3, 2^-5, sqrt(2)/2, 0,5; NaN for anything else. "1,000" may mean 1 or 1000.
  const TOKEN = /\s*((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|\*\*|sqrt|exp|ln|pi|[πe√()+\-*/^×·])/iy;
  const FUNCTIONS = { sqrt: Math.sqrt, "√": Math.sqrt, exp: Math.exp, ln: Math.log };
  const CONSTANTS = { pi: Math.PI, π: Math.PI, e: Math.E };

  function readNumber(text) {
    let t = text.trim().replace(/[−–]/g, "-");
    if (/^[-+]?[1-9]\d{0,2},\d{3}$/.test(t)) return NaN;
    t = t.replace(/(\d),(?=\d)/g, "$1.");
    const tokens = [];
    for (TOKEN.lastIndex = 0; TOKEN.lastIndex < t.length; ) {
      const found = TOKEN.exec(t);
      if (!found) return NaN;
      tokens.push(found[1].toLowerCase());
    }
    let at = 0;
    const take = (...wanted) => (wanted.includes(tokens[at]) ? tokens[at++] : null);
    const sum = () => {
      let value = product();
      for (let sign; (sign = take("+", "-")); ) value += sign === "+" ? product() : -product();
      return value;
    };
    const product = () => {
      let value = signed();
      for (let sign; (sign = take("*", "×", "·", "/")); ) value = sign === "/" ? value / signed() : value * signed();
      return value;
    };
    const signed = () => (take("-") ? -signed() : take("+") ? signed() : power());
    const power = () => {
      const base = single();
      return take("^", "**") ? base ** signed() : base;
    };
    const single = () => {
      const token = tokens[at++];
      if (token in FUNCTIONS) return FUNCTIONS[token](token === "√" || tokens[at] === "(" ? single() : NaN);
      if (token in CONSTANTS) return CONSTANTS[token];
      if (token !== "(") return Number(token ?? NaN);
      const value = sum();
      return take(")") ? value : NaN;
    };
    const value = sum();
    return at === tokens.length && Number.isFinite(value) ? value : NaN;
  }

  // As `implicitly.exercises` does it; a test compares the two.
  const near = (given, value, within) => Math.abs(given - value) <= within * (1 + 1e-9) + 1e-12 * Math.abs(value);

  // What an answer is: {right, hint}, hint being the place of the one for this wrong answer, -1 if there is none; null
  // if it is no number.
  function judge({ value, within = 0, choice, unit = "", wrong }, text) {
    const bare = unit && text.trim().endsWith(unit) ? text.trim().slice(0, -unit.length) : text;
    const given = choice ? Number(text) : readNumber(bare);
    if (Number.isNaN(given)) return null;
    return { right: choice ? given === choice : near(given, value, within), hint: wrong.findIndex((w) => near(given, w, within)) };
  }

  const words = (template) => (template ? [template.content.cloneNode(true)] : []);
  const element = (name, className, ...inside) => {
    const made = Object.assign(document.createElement(name), { className });
    made.append(...inside);
    return made;
  };

  function wire(form) {
    const right = JSON.parse(form.dataset.imAnswer), isChoice = "choice" in right;
    const place = PLACE + form.id.replace("answer-", "");
    const said = form.querySelector(".im-said"), fields = [...form.querySelectorAll("input")];
    const template = (name) => form.querySelector(`template[data-im-${name}-words]`);
    const hints = form.querySelectorAll("template[data-im-hint]");
    const typed = () => (isChoice ? (fields.find((ring) => ring.checked)?.value ?? "") : fields[0].value.trim());

    const clear = () => {
      delete form.dataset.imState;
      said.replaceChildren();
      for (const field of fields) field.removeAttribute("aria-invalid");
      for (const one of form.querySelectorAll(".im-option-said")) one.replaceChildren();
      for (const item of form.querySelectorAll(".im-options li")) item.className = "";
    };

    const say = (state, word, ...inside) => {
      form.dataset.imState = state;
      said.replaceChildren(element("b", "", word), " ", ...inside);
    };

    // Says what the answer is; whether the exercise is done with.
    const show = (text) => {
      clear();
      const found = judge(right, text);
      if (!found) {
        fields[0].setAttribute("aria-invalid", "true");
        say("wrong", "Not a number.", "A fraction, a power or a root are understood: 3/16, 1e-3, 2^-5, sqrt(2).");
      } else if (isChoice) {
        choose(Number(text), found);
      } else if (found.right) {
        say("right", "Right.", ...words(template("right")));
      } else {
        fields[0].setAttribute("aria-invalid", "true");
        const own = hints[found.hint], general = template("hint");
        say("wrong", "Not yet.", ...words(own ?? general));
        if (own && general) said.append(element("details", "im-solution", element("summary", "", "Another hint"), ...words(general)));
      }
      return Boolean(found && (isChoice || found.right));
    };

    // The ring stays where it is; the right option becomes a disc. What stands beside the rings is also said.
    const choose = (number, found) => {
      const items = [...form.querySelectorAll(".im-options li")], answer = items[right.choice - 1];
      answer.className = "im-is-right";
      answer.querySelector(".im-option-said").append("the answer");
      const rest = words(template("right"));
      if (found.right) return say("right", "Right.", ...rest);
      const hint = hints[found.hint] ?? template("hint"), beside = items[number - 1].querySelector(".im-option-said");
      items[number - 1].className = "im-is-wrong";
      beside.append("your choice", ...(hint ? [": ", ...words(hint)] : []));
      const option = answer.querySelector("label span").cloneNode(true);
      const spoken = element("span", "im-unseen", ...words(hint), ` The answer is ${right.choice}: `, option, " ");
      say("wrong", "Not this one.", spoken, ...rest);
    };

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = typed();
      if (!text) return fields[0].focus();
      form.imDone = show(text);
      if (judge(right, text)) kept((storage) => storage.setItem(place, text));
      progress();
    });
    form.addEventListener("input", clear);

    const before = kept((storage) => storage.getItem(place));
    if (before && judge(right, before) && (!isChoice || fields[before - 1])) {
      if (isChoice) fields[before - 1].checked = true;
      else fields[0].value = before;
      form.imDone = show(before);
    }
    form.classList.remove("im-waiting");
  }

  // Under the chapter in the list of chapters: how many exercises are done, once there is one.
  function progress() {
    const done = forms.filter((form) => form.imDone).length;
    const here = document.querySelector("nav.bd-links .current.active");
    if (!here || !done) return;
    const all = forms.length === document.querySelectorAll("main .exercise").length;
    const dots = element("span", "", ...forms.map((_, i) => element("i", i < done ? "im-done" : "")));
    dots.setAttribute("aria-hidden", "true");
    here.querySelector(".im-progress")?.remove();
    here.append(element("p", "im-progress", dots, ` ${done} of ${forms.length} ${all ? "exercises" : "answers"}`));
  }

  const forms = [...document.querySelectorAll("form.im-answer")];
  forms.forEach(wire);
  progress();

  // The guesses that explorers keep are answers, too.
  const forget = document.querySelector(".im-forget");
  forget?.classList.remove("im-waiting");
  forget?.querySelector("button").addEventListener("click", () => {
    const places = kept((storage) => Object.keys(storage).filter((name) => name.startsWith(OURS))) ?? [];
    for (const name of places) kept((storage) => storage.removeItem(name));
    const answers = places.filter((name) => name.startsWith(PLACE)).length, guesses = places.length - answers;
    const counted = [[answers, "answer"], [guesses, "guess"]].filter(([n]) => n);
    const text = counted.map(([n, word]) => `${n} ${word}${n === 1 ? "" : word === "guess" ? "es" : "s"}`).join(" and ");
    forget.querySelector("output").textContent = text ? `Forgotten: ${text}.` : "Nothing of yours is kept in this browser.";
  });
})();
