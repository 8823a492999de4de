// Runs inside of a copy of compare.html: measures what the browser laid out and
// leaves one line per fact, "ok SENTENCE" or "FAIL SENTENCE: detail".
(() => {
  const lines = [];
  const fact = (ok, sentence, detail) => lines.push(ok ? `ok ${sentence}` : `FAIL ${sentence}: ${detail}`);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const name = (e) => `${e.textContent.trim().slice(0, 40)}`;

  const svgs = all("svg");
  fact(svgs.length > 6, "the plots are there", svgs.length);
  fact(svgs.every((s) => s.getBoundingClientRect().height > 30 && s.getBoundingClientRect().width > 200),
       "each has a size", svgs.map((s) => s.getBoundingClientRect().width));
  fact(document.documentElement.scrollWidth <= window.innerWidth, "the page does not scroll sideways",
       `${document.documentElement.scrollWidth} > ${window.innerWidth}`);
  for (const [what, least] of [["polyline.curve", 4], ["polyline.thin", 8], ["circle.mean", 4],
                               ["line.bar", 4], ["rect.heat", 12]]) {
    const shapes = all(what);
    fact(shapes.length >= least, `there are ${what}`, shapes.length);
    fact(shapes.every((s) => getComputedStyle(s)[what[0] === "p" || what[0] === "l" ? "stroke" : "fill"].startsWith("rgb")),
         `${what} have a colour`, what);
  }
  const same = (a, b) => getComputedStyle(a).stroke === getComputedStyle(b).stroke;
  const curves = all("polyline.curve", svgs.find((s) => s.querySelector("polyline.curve")));
  fact(curves.length > 1 && !same(curves[0], curves[1]), "two cells have two colours", curves.length);

  // Nothing leaves its drawing, no text lies on another one.
  const outside = [], touching = [];
  for (const svg of svgs) {
    const box = svg.getBoundingClientRect();
    const texts = all("text", svg).filter((t) => t.textContent);
    const boxes = texts.map((t) => t.getBoundingClientRect());
    for (const shape of [...texts, ...all("circle, polyline, rect, line", svg)]) {
      const b = shape.getBoundingClientRect();
      if (b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1)
        outside.push(`${shape.tagName} ${name(shape)} in ${name(svg)}`);
    }
    boxes.forEach((a, i) => boxes.forEach((b, k) => {
      const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const under = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (k > i && over > 1 && under > 3) touching.push(`${name(texts[i])} | ${name(texts[k])}`);
    }));
  }
  fact(!outside.length, "nothing leaves its drawing", outside.slice(0, 5).join("; "));
  fact(!touching.length, "no text lies on another", touching.slice(0, 5).join("; "));

  // A higher mean stands further to the right, by the scale of its ticks.
  const bars = svgs.find((s) => s.querySelector("circle.mean"));
  const ticks = all("text.tick", bars).map((t) => [Number(t.textContent), Number(t.getAttribute("x"))]);
  const [v0, x0] = ticks[0], [v1, x1] = ticks[ticks.length - 1];
  const wrong = all("g", bars).filter((g) => {
    const mean = parseFloat(g.querySelector("text.value").textContent);
    const x = Number(g.querySelector("circle.mean").getAttribute("cx"));
    return Math.abs(x0 + ((mean - v0) / (v1 - v0)) * (x1 - x0) - x) > 0.5;
  });
  fact(ticks.length > 1 && !wrong.length, "means stand where their ticks say", wrong.length);

  // Tables: every row as wide as its head.
  const ragged = all("table").filter((t) => new Set(all("tr", t).map((r) => r.children.length)).size !== 1);
  fact(all("table").length > 2 && !ragged.length, "tables have equal rows", ragged.length);
  fact(performance.getEntriesByType("resource").length === 0, "nothing is loaded", "requests");

  const pre = document.createElement("pre");
  pre.id = "verdict";
  pre.textContent = `\n${lines.join("\n")}\nend\n`;
  document.body.append(pre);
})();
