// Runs inside of a copy of the page of mtps serve: measures what the browser laid out and
// leaves one line per fact, "ok SENTENCE" or "FAIL SENTENCE: detail".
setTimeout(() => {
  const lines = [];
  const fact = (ok, sentence, detail) => lines.push(ok ? `ok ${sentence}` : `FAIL ${sentence}: ${detail}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const box = (e) => e.getBoundingClientRect();

  fact(document.documentElement.scrollWidth <= window.innerWidth, "the page does not scroll sideways",
       `${document.documentElement.scrollWidth} > ${window.innerWidth}`);
  const fields = all("#inputs input");
  fact(fields.length === 5, "there are five fields", fields.length);
  fact(fields.every((f) => box(f).width > 100 && box(f).height > 20), "each has a size", fields.map((f) => box(f).width));
  const touching = fields.some((a, i) => fields.some((b, k) => k > i &&
    Math.min(box(a).right, box(b).right) - Math.max(box(a).left, box(b).left) > 1 &&
    Math.min(box(a).bottom, box(b).bottom) - Math.max(box(a).top, box(b).top) > 1));
  fact(!touching, "no field lies on another", "");
  const width = all(".bar").map((b) => box(b).width / box(b.parentElement).width);
  fact(width.length === 3 && Math.abs(width[0] - 0.5) < 0.02 && width[1] < 0.05 && width[2] > 0.98,
       "bars are as long as scores are", width);
  const stacked = box(all("section")[0]).top >= box(all("form")[0]).bottom - 1;
  fact(stacked === window.innerWidth < 700, "scores stand beside the form where there is room", stacked);
  fact(all("label").every((l) => l.textContent.trim() && l.querySelector("input, select")), "every field has a label", "");
  fact(performance.getEntriesByType("resource").length === 0, "nothing is loaded", "requests");

  const pre = document.createElement("pre");
  pre.id = "verdict";
  pre.textContent = `\n${lines.join("\n")}\nend\n`;
  document.body.append(pre);
}, 500);
