// Dropping a file, and saying that work is under way. The form does the rest, also without this.
"use strict";

const form = document.querySelector("form");
const input = document.getElementById("file");
const drop = form.querySelector(".drop");
const button = form.querySelector("button");
const problem = document.getElementById("problem");
const busy = document.getElementById("busy");
const progress = document.getElementById("progress");
let timer = 0;

for (const hint of document.querySelectorAll(".script")) hint.hidden = false;

function chosen() {
  const file = input.files[0];
  const large = file && file.size > Number(form.dataset.maxBytes);
  problem.textContent = large ? `The file is larger than ${form.dataset.maxMb} MB.` : "";
  return file && !large;
}

function idle() {
  clearInterval(timer);
  busy.hidden = true;
  button.disabled = false;
}

input.addEventListener("change", chosen);

form.addEventListener("submit", (event) => {
  if (!chosen()) {
    event.preventDefault();
    return;
  }
  const start = Date.now();
  button.disabled = true;
  busy.hidden = false;
  progress.textContent = "Judging. A video can take a minute.";
  timer = setInterval(() => {
    // not read out again and again
    progress.setAttribute("aria-live", "off");
    progress.textContent = `Judging for ${Math.round((Date.now() - start) / 1000)} s. A video can take a minute.`;
  }, 1000);
});

// the page as the browser kept it, on going back
window.addEventListener("pageshow", idle);

// a file that misses the box must not replace the page
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(kind, () => drop.classList.toggle("over", over));
}

drop.addEventListener("drop", (event) => {
  if (button.disabled || !event.dataTransfer.files.length) return;
  if (event.dataTransfer.files.length > 1) {
    problem.textContent = "One file at a time.";
    return;
  }
  input.files = event.dataTransfer.files;
  if (chosen()) form.requestSubmit();
});
