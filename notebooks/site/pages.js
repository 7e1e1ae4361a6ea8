// From a folder (file://) a browser lets no page read another: the search lists titles, without the lines around a hit.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What is moved sideways can be reached by keyboard; the menu's captions say how deep they stand.
addEventListener("load", () => {
  for (const part of document.querySelectorAll("pre, .cell_output, .cell_output .output, .table-wrapper, table, .math"))
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
  for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = 2;
});
