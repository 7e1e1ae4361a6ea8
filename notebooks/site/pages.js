// From a folder (file://) a browser lets no page read another: the search lists titles, without the lines around a hit.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What is moved sideways says so, and can be reached by keyboard; the menu's captions say how deep they stand.
const WIDE = "pre, .cell_output, .cell_output .output, .table-wrapper, table, .math";
const look = () => {
  for (const part of document.querySelectorAll(WIDE)) {
    const wide = part.scrollWidth > part.clientWidth + 1;
    if (wide) part.tabIndex = 0;
    part.classList.toggle("moves", wide && !part.matches(".cell_input pre, .math") && !part.querySelector(".moves"));
  }
};
addEventListener("load", () => {
  look();
  for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = 2;
});
addEventListener("resize", look);
