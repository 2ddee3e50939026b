/* Takes the colours that the person's system asks for, before anything is drawn. */
(function () {
  "use strict";
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function follow() {
    document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  }
  dark.addEventListener("change", follow);
  follow();
})();
