// The table of defects: sorted by its headings, filtered by words and categories. Without it, the table is a plain one.
"use strict";

const table = document.getElementById("defects");
const filters = document.getElementById("filters");
const count = document.getElementById("count");
const body = table.tBodies[0];
const rows = [...body.rows].map((row) => ({
  row,
  cells: [...row.cells].map((cell) => cell.textContent),
  text: row.textContent.toLocaleLowerCase(),
}));
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

function sort(heading) {
  const column = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  // What has no answer stays last, whichever way the others go.
  rows.sort((a, b) => {
    const [x, y] = [a.cells[column], b.cells[column]];
    return !x - !y || (down ? order(y, x) : order(x, y));
  });
  body.append(...rows.map(({ row }) => row));
}

function filter() {
  const words = filters.elements.text.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...filters.querySelectorAll("select")].filter((select) => select.value);
  let shown = 0;
  for (const { row, cells, text } of rows) {
    row.hidden = !(
      words.every((word) => text.includes(word)) && chosen.every((select) => cells[select.dataset.column] === select.value)
    );
    shown += !row.hidden;
  }
  count.textContent = shown === rows.length ? `${shown} defects` : `${shown} of ${rows.length} defects`;
}

for (const heading of table.tHead.rows[0].cells) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  button.addEventListener("click", () => sort(heading));
  heading.append(button);
}
filters.addEventListener("input", filter);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.querySelector("button").addEventListener("click", () => {
  filters.reset();
  filter();
});
filters.hidden = false;
