"use strict";
for (const place of document.querySelectorAll(".details[data-for]")) {
  const marks = place.closest("figure").querySelectorAll("." + place.dataset.for);
  for (const mark of marks) {
    const row = document.getElementById((mark.getAttribute("href") || "").slice(1));
    const show = () => {
      place.textContent = mark.dataset.details;
      if (row) row.classList.add("lit");
    };
    const hide = () => {
      place.textContent = "";
      if (row) row.classList.remove("lit");
    };
    mark.addEventListener("mouseenter", show);
    mark.addEventListener("focus", show);
    mark.addEventListener("mouseleave", hide);
    mark.addEventListener("blur", hide);
  }
}
