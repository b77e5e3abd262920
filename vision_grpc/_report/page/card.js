// One result as elements: its picture with the boxes drawn over it, and what was found. Knows nothing of the list around it.
// What came from pictures reaches the document as text nodes and attribute values made here, never as HTML.
"use strict";
const Card = (() => {
  const FEATURES = {
    text: "Text", faces: "Faces", labels: "Labels", objects: "Objects", logos: "Logos", landmarks: "Landmarks", colors: "Colours",
    crops: "Crop hints", safe: "Safe search", web: "Web", products: "Products",
  };
  // In the order they are drawn, the last on top.
  const KINDS = {
    crops: "Crop hints", blocks: "Blocks", words: "Words", landmarks: "Landmarks", logos: "Logos", objects: "Objects", products: "Products",
    faces: "Faces",
  };
  const NAMED = new Set(["landmarks", "logos", "objects"]);
  const LIKELIHOODS = ["unknown", "very unlikely", "unlikely", "possible", "likely", "very likely"];
  const SVG = "http://www.w3.org/2000/svg";
  const count = (number) => number.toLocaleString("en");
  const noun = (number, word) => (number === 1 ? word : `${word}s`);
  const baseName = (uri) => uri.replace(/[\\/]+$/, "").split(/[\\/]/).pop() || uri;
  const percent = (share) => `${Math.round(share * 100)} %`;

  let terms = []; // What is searched for; `draw` sets it for the others.

  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }

  function s(tag, attributes, ...children) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function marked(text) {
    if (!terms.length) return [text];
    const escaped = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    // Every second piece of a split by a group is what matched.
    return text.split(new RegExp(`(${escaped.join("|")})`, "giu")).map((piece, place) => (place % 2 ? h("mark", null, piece) : piece));
  }

  const isHit = (name) => terms.some((term) => name.toLowerCase().includes(term));

  function outline(numbers) {
    if (numbers.length === 4) {
      const [x, y, width, height] = numbers;
      return `M${x} ${y}h${width}v${height}h${-width}z`;
    }
    return `M${numbers.join(" ")}z`;
  }

  // In the list all shapes of a kind are one path, since a page of text has a thousand; enlarged, each answers to the pointer.
  function overlay(result, large) {
    const [width, height] = result.facts.size;
    const drawing = s("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const shapes = JSON.parse(result.element.nextElementSibling.textContent);
    const letter = Math.max(width, height) / (large ? 44 : 26);
    for (const kind of Object.keys(KINDS)) {
      if (!shapes[kind]) continue;
      const group = s("g", { class: kind });
      const all = shapes[kind].map(([, ...numbers]) => outline(numbers)).join("");
      group.append(s("path", { class: "halo", d: all }));
      if (large) {
        // Blocks and crops lie below their words: they give their names, but do not light up.
        for (const [name, ...numbers] of shapes[kind]) {
          group.append(s("path", { class: isHit(name) ? "shape whole hit" : "shape whole", d: outline(numbers) }, s("title", {}, name)));
        }
      } else {
        const hits = shapes[kind].filter(([name]) => isHit(name)).map(([, ...numbers]) => outline(numbers));
        if (hits.length) group.append(s("path", { class: "hit", d: hits.join("") }));
        group.append(s("path", { class: "shape", d: all }));
      }
      if (NAMED.has(kind)) {
        for (const [name, x, y] of shapes[kind]) {
          const place = { x: Math.max(x, 0) + letter / 3, y: Math.max(y, 0) + letter * 1.1, "font-size": letter, "stroke-width": letter / 5 };
          group.append(s("text", place, name));
        }
      }
      drawing.append(group);
    }
    return drawing;
  }

  function said({ facts }) {
    const parts = [];
    if (facts.text) parts.push("text");
    if (facts.faces) parts.push(`${facts.faces.length} ${noun(facts.faces.length, "face")}`);
    for (const kind of ["labels", "objects", "landmarks", "logos"]) {
      if (facts[kind]) parts.push(`${kind} ${facts[kind].slice(0, 3).map(([name]) => name).join(", ")}`);
    }
    return parts.join("; ") || "nothing found";
  }

  function figure(result, { large, tallest, open }) {
    const { facts } = result;
    const [width, height] = facts.size;
    const source = result.element.nextElementSibling.nextElementSibling.textContent;
    const name = baseName(facts.uri);
    const caption = facts.missing ? `No picture: ${facts.missing}.` : `${width} × ${height}`;
    const box = open ? h("button", { type: "button", "aria-label": `Enlarge ${name}` }) : h("div");
    if (open) box.addEventListener("click", open);
    if (!source && !Object.keys(facts.drawn).length) {
      box.className = "empty";
      box.append(caption);
      return h("figure", null, box);
    }
    box.className = "picture";
    box.style.aspectRatio = `${width} / ${height}`;
    // A tiny picture is enlarged a little, a tall one is kept within the window.
    box.style.width = `min(100%, ${tallest} * ${width / height}, max(180px, ${width * (large ? 3 : 2)}px))`;
    if (source) box.append(h("img", { src: source, alt: `${name}: ${said(result)}` }));
    box.append(overlay(result, large));
    return h("figure", null, box, h("figcaption", null, caption));
  }

  const part = (title, ...content) => h("section", null, h("h3", null, title), ...content);

  // `most` is what a full bar stands for: 1 but for scores without an upper bound.
  function scores(entries, most = 1) {
    const items = entries.map(([name, score, place]) => {
      const bar = h("i");
      bar.style.width = `${Math.min(100, (score / most) * 100)}%`;
      const number = (most === 1 ? percent(score) : score.toFixed(2)) + (place ? ` at ${place.join("°, ")}°` : "");
      return h("li", null, bar, h("span", { dir: "auto" }, marked(name)), score ? h("span", { class: "number" }, number) : null);
    });
    return h("ul", { class: "scores" }, items);
  }

  function colors(entries) {
    const palette = h("div", { class: "palette", "aria-hidden": "true" });
    const swatches = entries.map(([code, share]) => {
      const stripe = h("div");
      stripe.style.background = code;
      stripe.style.flexGrow = Math.max(share, 0.001);
      palette.append(stripe);
      const swatch = h("i");
      swatch.style.background = code;
      return h("li", null, swatch, code, h("span", { class: "number" }, `${(share * 100).toFixed(1)} %`));
    });
    return [palette, h("ul", { class: "swatches" }, swatches)];
  }

  function likelihoods(ratings) {
    const items = Object.entries(ratings).map(([name, value]) => {
      const word = LIKELIHOODS[value] || `level ${value}`;
      const meter = h("meter", { max: 5, low: 2.5, high: 3.5, optimum: 0, value, "aria-hidden": "true" });
      return h("li", null, name, meter, h("span", { class: "word" }, word));
    });
    return h("ul", { class: "likely" }, items);
  }

  function face({ confidence, angles, seems }, place) {
    const parts = [`Face ${place + 1}`];
    if (confidence) parts.push(percent(confidence));
    if (angles) parts.push(`roll ${angles[0]}°, pan ${angles[1]}°, tilt ${angles[2]}°`);
    return h("div", null, h("p", null, parts.join(" · ")), Object.keys(seems).length ? likelihoods(seems) : null);
  }

  function address(url, title) {
    const words_ = marked(title || url);
    if (!/^https?:\/\//i.test(url)) return h("li", null, words_);
    return h("li", null, h("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank" }, words_));
  }

  function web({ guesses, entities, pages, full, partial, similar }) {
    const most = Math.max(1.001, ...(entities || []).map(([, score]) => score));
    const lists = [["Full matches", full], ["Partial matches", partial], ["Similar images", similar]];
    return [
      guesses ? part("Web: best guess", h("p", { dir: "auto" }, marked(guesses.join(", ")))) : null,
      entities ? part("Web entities", scores(entities, most)) : null,
      pages ? part("Pages with the picture", h("ul", { class: "links" }, pages.map(([url, title]) => address(url, title)))) : null,
      ...lists.map(([title, urls]) => (urls ? part(title, h("ul", { class: "links" }, urls.map((url) => address(url)))) : null)),
    ];
  }

  function found({ facts }) {
    const languages = facts.languages ? ` (${facts.languages.join(", ")})` : "";
    const crops = (facts.crops || []).map(([confidence, importance]) => `confidence ${percent(confidence)}, importance ${percent(importance)}`);
    return [
      h("div", { class: "name" }, h("h2", null, marked(baseName(facts.uri))), h("p", { class: "uri" }, `#${facts.index + 1}  `, marked(facts.uri))),
      facts.error ? h("p", { class: "error name" }, h("b", null, facts.error[0]), marked(facts.error[1])) : null,
      facts.text ? part(`Text${languages}`, h("pre", { dir: "auto" }, marked(facts.text))) : null,
      facts.labels ? part("Labels", scores(facts.labels)) : null,
      facts.objects ? part("Objects", scores(facts.objects)) : null,
      facts.faces ? part("Faces", facts.faces.map(face)) : null,
      facts.landmarks ? part("Landmarks", scores(facts.landmarks)) : null,
      facts.logos ? part("Logos", scores(facts.logos)) : null,
      facts.colors ? part("Colours", colors(facts.colors)) : null,
      facts.safe ? part("Safe search", likelihoods(facts.safe)) : null,
      ...(facts.web ? web(facts.web) : []),
      facts.products ? part("Products", scores(facts.products)) : null,
      crops.length ? part("Crop hints", h("ul", { class: "soft" }, crops.map((line) => h("li", null, line)))) : null,
      !facts.error && !Object.keys(FEATURES).some((key) => facts[key]) ? h("p", { class: "soft" }, "Nothing was found.") : null,
    ];
  }

  // `tallest` is a CSS length; `open` is called when the picture is chosen, and may be missing.
  function draw(result, options) {
    terms = options.terms;
    return [figure(result, options), h("div", { class: "found" }, found(result))];
  }

  return { FEATURES, KINDS, h, count, noun, baseName, draw };
})();
