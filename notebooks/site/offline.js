// From a folder (file://) a browser lets no page read another: the search lists titles, without the lines around a hit.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
