// The list of all results: what is searched, filtered and turned to. How one result looks is card.js's matter.
(() => {
  const { FEATURES, KINDS, h, count, noun, baseName, draw } = Card;
  const byId = (id) => document.getElementById(id);
  const results = Array.from(document.querySelectorAll("script.facts"), (element) => ({ element, facts: JSON.parse(element.textContent) }));
  results.sort((a, b) => !a.facts.error - !b.facts.error || a.facts.index - b.facts.index);
  const choice = { terms: [], outcome: "", features: new Set(), page: 0, gallery: false };
  let shown = results;
  let viewed = 0;

  // The search looks at every string of the facts, one a line, so that no word matches across two of them.
  function words(result) {
    if (result.words === undefined) {
      const { index, size, drawn, missing, ...said } = result.facts;
      const found = [];
      const walk = (value) => {
        if (typeof value === "string") found.push(value);
        else if (value && typeof value === "object") Object.values(value).forEach(walk);
      };
      walk(said);
      result.words = found.join("\n").toLowerCase();
    }
    return result.words;
  }

  function matches(result) {
    const { facts } = result;
    const failed = facts.error ? facts.error[0] : "";
    if (choice.outcome === "ok" && failed) return false;
    if (choice.outcome === "error" && !failed) return false;
    if (choice.outcome.startsWith("=") && choice.outcome.slice(1) !== failed) return false;
    for (const feature of choice.features) if (!facts[feature]) return false;
    return choice.terms.every((term) => words(result).includes(term));
  }

  function card(result, place) {
    const look = { large: false, tallest: choice.gallery ? "190px" : "420px", terms: choice.terms, open: () => view(place) };
    const classes = result.facts.error ? "failed" : "annotated";
    return h("article", { class: classes, "aria-label": baseName(result.facts.uri) }, draw(result, look));
  }

  function render() {
    const each = choice.gallery ? 60 : 20;
    const pages = Math.max(1, Math.ceil(shown.length / each));
    choice.page = Math.min(Math.max(choice.page, 0), pages - 1);
    const first = choice.page * each;
    const cards = shown.slice(first, first + each).map((result, offset) => card(result, first + offset));
    const main = byId("results");
    main.classList.toggle("gallery", choice.gallery);
    main.replaceChildren(...(cards.length ? cards : [h("p", { class: "none" }, results.length ? "No picture fits." : "There are no results.")]));
    byId("page").value = choice.page + 1;
    byId("page").max = pages;
    byId("pages").textContent = count(pages);
    byId("turning").hidden = pages === 1;
    byId("previous").disabled = choice.page === 0;
    byId("next").disabled = choice.page === pages - 1;
    const range = cards.length ? `${count(first + 1)}–${count(first + cards.length)} of ` : "";
    const kept = `${count(shown.length)} ${noun(shown.length, "picture")}`;
    const all = shown.length === results.length ? "" : ` that fit (${count(results.length)} in all)`;
    byId("status").textContent = range + kept + all;
    main.setAttribute("aria-busy", "false");
  }

  function filter() {
    choice.terms = byId("query").value.toLowerCase().split(/\s+/).filter(Boolean);
    choice.page = 0;
    shown = results.filter(matches);
    render();
  }

  function turn(page) {
    choice.page = page;
    render();
    const top = byId("results").offsetTop - byId("tools").offsetHeight;
    if (window.scrollY > top) window.scrollTo(0, top);
  }

  function view(place) {
    if (place < 0 || place >= shown.length) return;
    viewed = place;
    const result = shown[place];
    byId("viewer-name").textContent = baseName(result.facts.uri);
    byId("viewer-body").replaceChildren(...draw(result, { large: true, tallest: "80vh", terms: choice.terms }));
    byId("back").disabled = place === 0;
    byId("forth").disabled = place === shown.length - 1;
    if (!byId("viewer").open) byId("viewer").showModal();
    byId("viewer").scrollTop = 0;
  }

  function summarize(errors) {
    const figure = (number, word) => h("span", null, h("b", null, count(number)), ` ${word}`);
    const named = (number, word) => figure(number, noun(number, word));
    const failed = results.filter(({ facts }) => facts.error).length;
    const line = [named(results.length, "picture")];
    if (failed) line.push(figure(results.length - failed, "without error"), named(failed, "error"));
    for (const [code, number] of errors) {
      const button = h("button", { type: "button" }, `${code} ${count(number)}`);
      button.addEventListener("click", () => {
        byId("outcome").value = choice.outcome = `=${code}`;
        filter();
      });
      line.push(button);
    }
    const sum = (number) => results.reduce((total, { facts }) => total + number(facts), 0);
    for (const kind of ["word", "face", "object"]) {
      const number = sum(({ drawn }) => drawn[`${kind}s`] || 0);
      if (number) line.push(named(number, kind));
    }
    const labels = sum((facts) => (facts.labels || []).length);
    if (labels) line.push(named(labels, "label"));
    byId("summary").replaceChildren(...line);
  }

  function build() {
    const errors = new Map();
    for (const { facts } of results) if (facts.error) errors.set(facts.error[0], (errors.get(facts.error[0]) || 0) + 1);
    summarize([...errors].sort((a, b) => b[1] - a[1]));
    const outcomes = [["", "Any outcome"], ["ok", "Without error"], ["error", "With an error"]];
    for (const code of [...errors.keys()].sort()) outcomes.push([`=${code}`, code]);
    byId("outcome").append(...outcomes.map(([value, name]) => h("option", { value }, name)));
    for (const [key, name] of Object.entries(FEATURES)) {
      const number = results.filter(({ facts }) => facts[key]).length;
      if (!number) continue;
      const button = h("button", { type: "button", "aria-pressed": "false", "data-feature": key }, `${name} ${count(number)}`);
      button.addEventListener("click", () => {
        if (!choice.features.delete(key)) choice.features.add(key);
        button.setAttribute("aria-pressed", choice.features.has(key));
        filter();
      });
      byId("features").append(button);
    }
    for (const [kind, name] of Object.entries(KINDS)) {
      if (!results.some(({ facts }) => facts.drawn[kind])) continue;
      const box = h("input", { type: "checkbox", "data-kind": kind });
      box.checked = true;
      box.addEventListener("change", () => document.body.classList.toggle(`hide-${kind}`, !box.checked));
      byId("kinds").append(h("label", { class: kind }, box, h("i"), h("span", null, name)));
    }
    byId("features").hidden = !byId("features").querySelector("button");
    byId("kinds").hidden = !byId("kinds").querySelector("input");
    byId("tools").hidden = false;
  }

  function listen() {
    let typed = 0;
    byId("query").addEventListener("input", () => {
      byId("results").setAttribute("aria-busy", "true"); // What is shown answers an earlier search until `render`.
      clearTimeout(typed);
      typed = setTimeout(filter, 80);
    });
    byId("outcome").addEventListener("change", () => {
      choice.outcome = byId("outcome").value;
      filter();
    });
    byId("gallery").addEventListener("click", () => {
      choice.gallery = !choice.gallery;
      choice.page = 0;
      byId("gallery").setAttribute("aria-pressed", choice.gallery);
      render();
    });
    byId("previous").addEventListener("click", () => turn(choice.page - 1));
    byId("next").addEventListener("click", () => turn(choice.page + 1));
    byId("page").addEventListener("change", () => turn((parseInt(byId("page").value, 10) || 1) - 1));
    byId("back").addEventListener("click", () => view(viewed - 1));
    byId("forth").addEventListener("click", () => view(viewed + 1));
    byId("close").addEventListener("click", () => byId("viewer").close());
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const typing = event.target.matches("input, select, textarea");
      if (event.key === "/" && !typing && !byId("viewer").open) {
        event.preventDefault();
        byId("query").focus();
      } else if (!typing && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
        const step = event.key === "ArrowLeft" ? -1 : 1;
        if (byId("viewer").open) view(viewed + step);
        else turn(choice.page + step);
      }
    });
  }

  build();
  listen();
  render();
})();
