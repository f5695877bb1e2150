// Fills the Telemetry tab of Locust's web UI, and offers topologies in its start form.
//
// The tab itself is Locust's, empty: its own tables know neither charts nor aligned numbers. What
// is shown comes drawn from the server; this script places it, keeps it fresh, sorts its tables and
// names the values under the pointer.
"use strict";

(() => {
  const REFRESH_MS = 2000;
  const section = document.createElement("section");
  section.className = "motel";
  section.setAttribute("aria-label", "Telemetry");
  section.hidden = true;

  // How a person has sorted each table: key -> [column, descending].
  const order = new Map();
  let asking = false;

  function selected() {
    const tab = document.querySelector('[role="tab"][aria-selected="true"]');
    return tab !== null && tab.textContent.trim().toLowerCase() === "telemetry";
  }

  function place() {
    const main = document.querySelector("main");
    // Locust's pages come and go in there; ours stays the last.
    if (main !== null && main.lastElementChild !== section) main.append(section);
    const shown = selected();
    if (shown === section.hidden) {
      section.hidden = !shown;
      section.replaceChildren();
      refresh();
    }
    const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    section.dataset.theme = localStorage.theme || preferred;
    document.querySelectorAll('form input[name="topology"]').forEach(offerTopologies);
    document.querySelectorAll('form select[name] option[value=""]:empty').forEach((option) => {
      option.textContent = "default";
      // Locust thinks that nothing is shown, and leaves no room for the label in the border.
      option.closest(".MuiInputBase-root")?.querySelector("legend")?.style.setProperty("max-width", "100%");
    });
  }

  async function refresh() {
    // What a person is marking stays as it is.
    const marking = section.contains(getSelection().anchorNode) && !getSelection().isCollapsed;
    if (section.hidden || document.hidden || asking || marking) return;
    asking = true;
    try {
      const answer = await fetch("./telemetry/panel");
      if (!answer.ok || answer.redirected || section.hidden) return;
      const scrolled = [...section.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
      section.innerHTML = await answer.text();
      section.querySelectorAll("table").forEach(sort);
      section.querySelectorAll(".scroll").forEach((each, nth) => (each.scrollLeft = scrolled[nth] ?? 0));
    } catch {
      // Locust has ended or is out of reach; what was shown last stays.
    } finally {
      asking = false;
    }
  }

  function sort(table) {
    const sorted = order.get(table.dataset.key);
    if (sorted === undefined) return;
    const [column, descending] = sorted;
    const value = (row) => {
      const cell = row.cells[column];
      if (cell.dataset.value === undefined) return cell.textContent;
      return cell.dataset.value === "" ? -Infinity : Number(cell.dataset.value);
    };
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(value(a), value(b)) * (descending ? -1 : 1));
    table.tBodies[0].append(...rows);
    const head = table.tHead.rows[0].cells[column];
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }

  section.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (head === null) return;
    const table = head.closest("table");
    const [column, descending] = order.get(table.dataset.key) ?? [];
    // Of numbers, the greatest are asked for first.
    const first = head.classList.contains("n");
    order.set(table.dataset.key, [head.cellIndex, column === head.cellIndex ? !descending : first]);
    table.querySelectorAll("[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
    sort(table);
  });

  section.addEventListener("pointermove", (event) => {
    section.querySelectorAll(".marker, .note").forEach((each) => each.remove());
    const figure = event.target.closest("figure");
    const svg = figure?.querySelector("svg");
    if (!svg || !figure.dataset.places) return;
    const places = figure.dataset.places.split(",").map(Number);
    const box = svg.getBoundingClientRect();
    const outer = figure.getBoundingClientRect();
    const pointed = (event.clientX - box.left) / box.width;
    let nearest = 0;
    places.forEach((place, nth) => {
      if (Math.abs(place - pointed) < Math.abs(places[nearest] - pointed)) nearest = nth;
    });
    const x = box.left - outer.left + places[nearest] * box.width;
    const marker = document.createElement("div");
    marker.className = "marker";
    marker.style.cssText = `left:${x}px;top:${box.top - outer.top}px;height:${box.height * 0.9}px`;
    const note = document.createElement("div");
    note.className = "note";
    note.textContent = figure.dataset.texts.split("|")[nearest].replaceAll(";", "\n");
    note.style.top = `${box.top - outer.top + 8}px`;
    note.style[x < outer.width / 2 ? "left" : "right"] =
      `${(x < outer.width / 2 ? x : outer.width - x) + 8}px`;
    figure.append(marker, note);
  });
  section.addEventListener("pointerleave", () => {
    section.querySelectorAll(".marker, .note").forEach((each) => each.remove());
  });

  // A list to pick from beside the field: any path or URL may still be written.
  async function offerTopologies(field) {
    if (field.dataset.offers) return;
    field.dataset.offers = "asked";
    const answer = await fetch("./telemetry/topologies");
    if (!answer.ok || answer.redirected) return;
    const topologies = await answer.json();
    if (topologies.length === 0) return;
    const picker = document.createElement("select");
    picker.className = "motel-topologies";
    picker.setAttribute("aria-label", "Topologies at hand");
    picker.title = "Pick a topology";
    picker.append(new Option("", ""), ...topologies.map((path) => new Option(path, path)));
    picker.addEventListener("change", () => {
      if (picker.value) field.value = picker.value;
      picker.value = "";
    });
    field.parentNode.append(picker);
  }

  new MutationObserver(place).observe(document.documentElement, {
    attributeFilter: ["aria-selected"],
    childList: true,
    subtree: true,
  });
  // After Locust has changed its theme.
  document.addEventListener("click", () => setTimeout(place));
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, REFRESH_MS);
  place();
})();
