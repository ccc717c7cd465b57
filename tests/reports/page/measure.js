// Runs in a page that holds the report in a frame, and writes what it measured into that page.
// The report itself may run no script: its content security policy forbids it.
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const page = frame.contentDocument;
  const inner = (a, b) => a.contains(b) || b.contains(a);
  const meet = (a, b, slack) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > slack &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack;
  const name = (element) =>
    `${element.tagName.toLowerCase()} ${element.id || element.className} ${element.textContent.trim().slice(0, 30)}`;

  const measure = () => {
    const blocks = [...page.querySelectorAll("h1, h2, h3, h4, p, .box, .verdict, .scroll, figure, dl, summary, li")]
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ element, box }) => element.checkVisibility() && box.width > 0 && box.height > 0);
    const overlaps = [];
    blocks.forEach(({ element, box }, i) => {
      for (const other of blocks.slice(i + 1)) {
        if (!inner(element, other.element) && meet(box, other.box, 1)) {
          overlaps.push(`${name(element)} | ${name(other.element)}`);
        }
      }
    });
    const width = page.documentElement.clientWidth;
    const wide = blocks
      .filter(({ element, box }) => box.right > width + 1 && !element.closest(".scroll"))
      .map(({ element }) => name(element));

    const cut = [], labels = [], small = [];
    for (const svg of page.querySelectorAll("figure svg")) {
      const box = svg.getBoundingClientRect();
      if (!svg.checkVisibility()) continue; // in a closed part of the page
      if (box.height < 80 || box.width < 250) small.push(svg.closest("figure").id);
      const texts = [...svg.querySelectorAll("g[id*='-text_']")].filter((g) => g.querySelector("use, path"));
      const boxes = texts.map((g) => g.getBoundingClientRect());
      boxes.forEach((text, i) => {
        if (text.left < box.left - 1 || text.right > box.right + 1 || text.top < box.top - 1 || text.bottom > box.bottom + 1) {
          cut.push(`${svg.closest("figure").id}: ${texts[i].id}`);
        }
        if (/rotate\((?!-?0\))/.test(texts[i].innerHTML)) return; // the box of a slanted label is not its ink
        for (let j = i + 1; j < boxes.length; j++) {
          if (!/rotate\((?!-?0\))/.test(texts[j].innerHTML) && meet(text, boxes[j], 1)) {
            labels.push(`${svg.closest("figure").id}: ${texts[i].id} | ${texts[j].id}`);
          }
        }
      });
    }
    return { width, scrolls: page.documentElement.scrollWidth, overlaps, wide, cut, labels, small };
  };

  const closed = measure();
  page.querySelectorAll("details").forEach((part) => (part.open = true));
  const open = measure();
  const result = {
    closed,
    open,
    figures: page.querySelectorAll("figure svg").length,
    requests: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  const place = document.createElement("pre");
  place.id = "result";
  place.textContent = JSON.stringify(result);
  document.body.append(place);
});
