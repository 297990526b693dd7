"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const home = document.getElementById("browser");
  if (!home) return;

  const BATCH = 20;
  const ALL = "all";
  const FLAGS = ["wrong", "flipped", "failed", "abstained", "right"];
  const GLYPHS = { wrong: "✗", flipped: "⇄", failed: "!", abstained: "?", right: "✓" };
  const HELP = {
    all: "Every pair on this page",
    wrong: "An order ended on the image that people did not prefer",
    flipped: "The two orders disagree",
    failed: "A judgment was refused, truncated, unreadable or failed",
    abstained: "The judge said that it cannot tell",
    right: "Every order agrees with people",
  };

  // Text from the data enters the page through this function alone, as text and never as markup.
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== ""));
    return node;
  }

  const choices = (key) => [...new Set(data.pairs.map((pair) => pair[key]))].filter(Boolean).sort();
  const categories = choices("category");
  const states = choices("state");
  const blank = () => ({ filter: ALL, rubric: -1, category: "", state: "", q: "", pair: "" });
  let view = blank();
  let matching = [];
  let drawn = 0;
  let unfolded = false;

  // Under all rubrics a pair is wrong if it is wrong under any, but right only if it is right under each.
  function flagsOf(pair, rubric) {
    if (rubric >= 0) return pair.flags[rubric] || [];
    const each = Object.values(pair.flags);
    return FLAGS.filter((flag) =>
      flag === "right" ? each.length > 0 && each.every((some) => some.includes(flag)) : each.some((some) => some.includes(flag)));
  }

  const haystacks = new Map();
  function haystack(pair) {
    if (!haystacks.has(pair)) {
      const words = [pair.id, pair.prompt, pair.category, pair.state, ...pair.metadata.flat(), ...pair.notes,
        ...pair.judgments.flatMap((one) => [one.outcome, one.rationale, one.detail])];
      haystacks.set(pair, words.join("\n").toLowerCase());
    }
    return haystacks.get(pair);
  }

  function passes(pair) {
    return (view.rubric < 0 || String(view.rubric) in pair.flags)
      && (!view.category || pair.category === view.category)
      && (!view.state || pair.state === view.state)
      && (!view.pair || pair.id === view.pair)
      && view.q.toLowerCase().split(/\s+/).every((word) => haystack(pair).includes(word));
  }

  // The address holds the filters, so that what is seen can be sent to someone.
  function readAddress() {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return false;
    const given = new URLSearchParams(hash);
    const known = (key, from) => (from.includes(given.get(key)) ? given.get(key) : "");
    view = blank();
    view.filter = known("filter", FLAGS) || ALL;
    view.rubric = given.has("rubric") ? data.rubrics.indexOf(given.get("rubric")) : -1;
    view.category = known("category", categories);
    view.state = known("state", states);
    view.q = (given.get("q") || "").trim();
    view.pair = known("pair", data.pairs.map((pair) => pair.id));
    return true;
  }

  function address(of) {
    const given = new URLSearchParams();
    if (of.filter && of.filter !== ALL) given.set("filter", of.filter);
    if (of.rubric >= 0) given.set("rubric", data.rubrics[of.rubric]);
    for (const key of ["category", "state", "q", "pair"]) if (of[key]) given.set(key, of[key]);
    return given.toString();
  }

  function writeAddress() {
    const hash = address(view);
    try {
      history.replaceState(null, "", hash ? `#${hash}` : "#pairs");
    } catch {
      // Some viewers show a page in a frame without an address of its own; the filters work there all the same.
    }
  }

  const buttons = new Map();
  const selects = new Map();
  const search = el("input", { type: "search", placeholder: "Search prompts, ids, reasons", "aria-label": "Search pairs" });
  const unfold = el("button", { type: "button", "aria-pressed": "false" }, "Findings");
  const shown = el("p", { class: "shown" });
  const count = el("span", { role: "status" });
  const list = el("div", { class: "list" });
  const more = el("button", { type: "button", class: "more", hidden: true });

  function change(part) {
    Object.assign(view, { pair: "" }, part);
    writeAddress();
    draw();
  }

  function toolbar() {
    const group = el("div", { role: "group", "aria-label": "Show pairs that are" });
    for (const name of [ALL, ...FLAGS]) {
      if (name === "abstained" && !data.pairs.some((pair) => flagsOf(pair, -1).includes(name))) continue;
      const number = el("span", { class: "count" });
      const button = el("button", { type: "button", title: HELP[name], "data-filter": name },
        name === ALL ? "All" : `${name[0].toUpperCase()}${name.slice(1)}`, number);
      button.addEventListener("click", () => change({ filter: name }));
      buttons.set(name, [button, number]);
      group.append(button);
    }
    const tools = el("div", { class: "tools", role: "search", "aria-label": "Filter pairs" }, group);
    const select = (key, all, names, values) => {
      if (names.length < 2) return;
      const node = el("select", { "aria-label": key[0].toUpperCase() + key.slice(1) },
        el("option", { value: "" }, all), names.map((name, index) => el("option", { value: String(values[index]) }, name)));
      node.addEventListener("change", () => {
        if (key === "rubric") change({ rubric: node.value === "" ? -1 : Number(node.value) });
        else change({ [key]: node.value });
      });
      selects.set(key, node);
      tools.append(node);
    };
    select("rubric", "All rubrics", data.rubrics, data.rubrics.map((_, index) => index));
    select("category", "All categories", categories, categories);
    select("state", "All states", states, states);
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => change({ q: search.value.trim() }), 120);
    });
    unfold.addEventListener("click", () => {
      unfolded = !unfolded;
      unfold.setAttribute("aria-pressed", String(unfolded));
      for (const node of list.querySelectorAll("details")) node.open = unfolded;
    });
    tools.append(search);
    if (data.pairs.some((pair) => pair.judgments.some((one) => one.findings.length || one.rationale))) tools.append(unfold);
    const keys = el("span", { class: "keys", "aria-hidden": "true" },
      el("kbd", {}, "j"), " ", el("kbd", {}, "k"), " next and previous, ", el("kbd", {}, "/"), " search");
    const reset = el("button", { type: "button" }, "show all");
    reset.addEventListener("click", () => change(blank()));
    shown.append(count, " ", reset, keys);
    shown.reset = reset;
    home.append(tools, shown, list, more);
  }

  function draw() {
    const others = data.pairs.filter(passes);
    const flags = new Map(others.map((pair) => [pair, flagsOf(pair, view.rubric)]));
    for (const [name, [button, number]] of buttons) {
      number.textContent = name === ALL ? others.length : others.filter((pair) => flags.get(pair).includes(name)).length;
      button.setAttribute("aria-pressed", String(view.filter === name));
    }
    for (const [key, node] of selects) node.value = key === "rubric" ? (view.rubric < 0 ? "" : String(view.rubric)) : view[key];
    if (document.activeElement !== search) search.value = view.q;
    matching = view.filter === ALL ? others : others.filter((pair) => flags.get(pair).includes(view.filter));
    const all = matching.length === data.pairs.length;
    count.textContent = all ? `All ${data.pairs.length} pairs` : `${matching.length} of ${data.pairs.length} pairs`;
    shown.reset.hidden = all;
    list.replaceChildren();
    drawn = 0;
    if (!matching.length) list.append(el("p", { class: "empty" }, "No pair is like that."));
    drawMore(BATCH);
  }

  function drawMore(many) {
    const next = matching.slice(drawn, drawn + many);
    list.append(...next.map(card));
    drawn += next.length;
    const left = matching.length - drawn;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(left, BATCH)} more of ${left}`;
  }

  const user = (text) => el("bdi", {}, text);

  function mark(flag) {
    return el("span", { class: `mark is-${flag}`, title: HELP[flag] }, `${GLYPHS[flag]} ${flag}`);
  }

  function figure([role, index, alt], pair) {
    const image = data.images[index];
    let picture;
    if (!image) {
      picture = el("div", { class: "lost" }, user(alt || "This image could not be read."));
    } else {
      const [source, width, height] = image;
      const small = Math.max(width, height) <= data.small;
      picture = el("img", { src: source, width, height, alt, decoding: "async", class: small && "small", style: small && `--w:${width}px` });
    }
    const best = pair.label === role;
    return el("figure", { class: best && "best-one" }, picture, el("figcaption", {},
      el("b", {}, role === "source" ? "Source" : role), best ? el("span", { class: "best" }, "people’s choice") : ""));
  }

  function verdict(one) {
    if (one.outcome !== "ok" && one.outcome !== "tie") {
      return el("span", { class: one.outcome === "abstain" ? "is-abstained" : "is-failed" }, one.outcome === "abstain" ? "? abstained" : `! ${one.outcome}`);
    }
    const side = one.preferred;
    if (one.right === null) return el("span", { class: "plain" }, user(side));
    return el("span", { class: one.right ? "is-right" : "is-wrong", title: one.right ? "as people" : "not as people" },
      `${one.right ? GLYPHS.right : GLYPHS.wrong} ${side}`);
  }

  function matrix(judgments, rubrics, orders) {
    const find = (rubric, order) => judgments.filter((one) => one.rubric === rubric && one.order === order);
    return el("table", { class: "matrix" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Verdict"),
        orders.map((order) => el("th", { scope: "col" }, user(data.orders[order]))))),
      el("tbody", {}, rubrics.map((rubric) => el("tr", {}, el("th", { scope: "row" }, user(data.rubrics[rubric])),
        orders.map((order) => el("td", {}, find(rubric, order).map(verdict)))))));
  }

  function answer(finding, order) {
    if (!finding) return el("td", {});
    const [, said, a, b, note] = finding;
    const share = (value) => (value === null ? "–" : value.toFixed(2));
    return el("td", { role: "cell", "data-label": data.orders[order] }, said === "A" || said === "B" ? el("b", {}, said) : el("span", { class: "plain" }, said),
      a === null && b === null ? "" : el("span", { class: "scores" }, `A ${share(a)}  B ${share(b)}`),
      note ? el("span", { class: "remark", dir: "auto" }, ` ${note}`) : "");
  }

  function findings(judgments, rubric) {
    const mine = judgments.filter((one) => one.rubric === rubric);
    const criteria = [...new Set(mine.flatMap((one) => one.findings.map((finding) => finding[0])))];
    const reasons = mine.filter((one) => one.rationale);
    if (!criteria.length && !reasons.length) return null;
    const table = criteria.length ? el("table", { role: "table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Criterion"), mine.map((one) => el("th", { scope: "col" }, user(data.orders[one.order]))))),
      el("tbody", {}, criteria.map((criterion) => el("tr", { role: "row" }, el("th", { scope: "row", role: "rowheader" }, user(data.texts[criterion])),
        mine.map((one) => answer(one.findings.find((finding) => finding[0] === criterion), one.order)))))) : "";
    return el("details", { class: "findings", open: unfolded },
      el("summary", {}, el("span", {}, criteria.length ? `${criteria.length === 1 ? "1 finding" : `${criteria.length} findings`} under ` : "Reasons under ", user(data.rubrics[rubric]))),
      table, reasons.map((one) => el("blockquote", { dir: "auto" }, el("b", {}, user(data.orders[one.order])), one.rationale)));
  }

  function card(pair) {
    const judgments = pair.judgments.filter((one) => view.rubric < 0 || one.rubric === view.rubric);
    const rubrics = [...new Set(judgments.map((one) => one.rubric))];
    const orders = [...new Set(judgments.map((one) => one.order))].sort((x, y) => x - y);
    const flags = flagsOf(pair, view.rubric);
    const images = [...pair.images].sort((x, y) => (y[0] === "source") - (x[0] === "source"));
    const silent = judgments.filter((one) => one.detail).map((one) =>
      el("p", { class: "why" }, user(data.rubrics[one.rubric]), ", ", user(data.orders[one.order]), ": ", user(one.detail)));
    const chips = [pair.category, pair.state, pair.label === "tie" ? "people saw a tie" : ""].filter(Boolean);
    const box = el("div", { class: "images" }, images.map((image) => figure(image, pair)));
    box.style.setProperty("--n", Math.max(2, images.length));
    return el("article", { class: "pair", tabindex: "-1", "data-id": pair.id, "data-flags": flags.join(" "), "aria-label": `Pair ${pair.id}` },
      el("div", { class: "head" }, el("a", { class: "link", href: `#${address({ pair: pair.id })}`, title: "Link to this pair" }, user(pair.id)),
        chips.map((chip) => el("span", { class: "chip" }, user(chip))),
        el("span", { class: "marks" }, FLAGS.filter((flag) => flags.includes(flag)).map(mark))),
      el("p", { class: "prompt", dir: "auto" }, pair.prompt),
      el("div", { class: images.length > 2 ? "body three" : "body" }, box, el("div", { class: "verdicts" },
        judgments.length ? matrix(judgments, rubrics, orders) : "", silent,
        pair.notes.length ? el("ul", { class: "remarks" }, pair.notes.map((note) => el("li", { dir: "auto" }, note))) : "",
        pair.metadata.length ? el("ul", { class: "foot data" }, pair.metadata.map(([key, value]) => el("li", {}, user(key), ": ", user(value)))) : "")),
      el("div", { class: "reports" }, rubrics.map((rubric) => findings(judgments, rubric))));
  }

  function step(forward) {
    const cards = [...list.querySelectorAll(".pair")];
    const at = cards.indexOf(document.activeElement && document.activeElement.closest(".pair"));
    if (forward && at === cards.length - 1 && !more.hidden) {
      drawMore(BATCH);
      step(true);
      return;
    }
    const next = cards[at < 0 ? 0 : at + (forward ? 1 : -1)];
    if (next) next.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing) {
      if (event.key === "Escape" && event.target === search) search.blur();
      return;
    }
    if (event.key === "j" || event.key === "k") step(event.key === "j");
    else if (event.key === "/") {
      event.preventDefault();
      search.focus();
    }
  });
  more.addEventListener("click", () => drawMore(BATCH));
  addEventListener("hashchange", () => {
    if (readAddress()) draw();
  });
  addEventListener("beforeprint", () => drawMore(matching.length));
  if ("IntersectionObserver" in window) {
    new IntersectionObserver((seen) => {
      if (seen.some((entry) => entry.isIntersecting) && !more.hidden) drawMore(BATCH);
    }, { rootMargin: "800px" }).observe(more);
  }

  toolbar();
  const linked = readAddress();
  draw();
  if (linked) document.getElementById("pairs").scrollIntoView();
})();
