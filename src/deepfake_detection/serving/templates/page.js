// Several files, the user's own video over its timeline, and case files of what is shown. Without this, the form judges
// one file at a time. Files go to the addresses that the form has, and results come out of the pages that answer.
"use strict";

const form = document.querySelector("form");
const input = document.getElementById("file");
const drop = form.querySelector(".drop");
const problem = document.getElementById("problem");
const busy = document.getElementById("busy");
const progress = document.getElementById("progress");
const clock = document.getElementById("clock");
const overview = document.getElementById("overview");
const outcomes = document.getElementById("outcomes");
const addresses = [];
let stopping = null; // the AbortController of what is under way

input.multiple = true;
reveal(document);

function reveal(within) {
  for (const each of within.querySelectorAll(".script")) each.hidden = false;
}

function tooLarge(file) {
  return file.size > Number(form.dataset.maxBytes);
}

function chosen() {
  const named = (file) => (input.files.length > 1 ? shown(file.name) : "The file");
  const large = [...input.files].filter(tooLarge);
  problem.textContent = large.map((file) => `${named(file)} is larger than ${form.dataset.maxMb} MB.`).join(" ");
  return [...input.files].some((file) => !tooLarge(file));
}

// without what changes the direction of text or breaks the line
function shown(name) {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
}

async function send(address, files) {
  const sent = new FormData();
  for (const file of files) sent.append("file", file);
  return fetch(address, { method: "POST", body: sent, signal: stopping.signal });
}

// Runs what sends files, while the page says since when. No other file is sent meanwhile.
async function working(work) {
  const start = Date.now();
  const timer = setInterval(() => {
    clock.textContent = `${Math.round((Date.now() - start) / 1000)} s. A video can take a minute.`;
  }, 1000);
  const buttons = document.querySelectorAll("button:not(#stop)");
  stopping = new AbortController();
  busy.hidden = false;
  clock.textContent = "A video can take a minute.";
  for (const each of buttons) each.disabled = true;
  try {
    await work();
  } finally {
    clearInterval(timer);
    stopping = null;
    busy.hidden = true;
    for (const each of buttons) each.disabled = false;
  }
}

function refused(name, words) {
  const found = document.getElementById("refused").content.cloneNode(true).querySelector(".outcome");
  found.querySelector("h2").textContent = `Not judged: ${shown(name)}`;
  found.querySelector("p").textContent = words;
  return { found };
}

// what an answer says that is no page of this server: plain text is its own, a page that of a proxy in front
function said(answer, text) {
  const plain = answer.headers.get("content-type")?.startsWith("text/plain");
  return plain ? text : `The server in front of this one answers ${`${answer.status} ${answer.statusText}`.trim()}.`;
}

// the result of a file, or why there is none, and what is said of all scores
async function judged(file) {
  if (tooLarge(file)) return refused(file.name, `The file is larger than ${form.dataset.maxMb} MB.`);
  try {
    const answer = await send(form.action, [file]);
    const text = await answer.text();
    const page = new DOMParser().parseFromString(text, "text/html");
    const found = page.querySelector(".outcome");
    return found ? { found, note: page.querySelector(".note"), title: page.title } : refused(file.name, said(answer, text));
  } catch {
    return refused(file.name, stopping.signal.aborted ? "It was stopped." : "The server does not answer.");
  }
}

async function judge(files) {
  const several = files.length > 1;
  const rows = overview.querySelector("tbody");
  document.querySelector(".note")?.remove();
  outcomes.replaceChildren();
  rows.replaceChildren();
  for (const address of addresses.splice(0)) URL.revokeObjectURL(address);
  overview.hidden = !several;
  document.getElementById("count").textContent = `${files.length} files`;
  for (const file of several ? files : []) {
    const row = rows.insertRow();
    for (const words of ["waiting", "", shown(file.name)]) row.insertCell().textContent = words;
  }
  for (const [number, file] of files.entries()) {
    progress.textContent = `Judging ${shown(file.name)}${several ? `, ${number + 1} of ${files.length}` : ""}.`;
    const { found, note, title } = await judged(file);
    show(document.importNode(found, true), number, file);
    if (several) tell(rows.rows[number], outcomes.lastElementChild);
    if (note && !document.querySelector(".note")) outcomes.after(document.importNode(note, true));
    document.title = several || !title ? "Deepfake check" : title;
  }
  document.querySelector(".lead").hidden = true;
  document.getElementById("choose").textContent = "Judge another";
  const first = several ? document.getElementById("count") : outcomes.querySelector("h2");
  first.focus();
  first.scrollIntoView();
}

function show(found, number, file) {
  for (const each of [found, ...found.querySelectorAll("[id], [aria-labelledby]")]) {
    if (each.id) each.id += `-${number}`;
    const names = each.getAttribute("aria-labelledby");
    if (names) each.setAttribute("aria-labelledby", names.replace(/\S+/g, `$&-${number}`));
  }
  outcomes.append(found);
  const timeline = found.querySelector(".timeline");
  if (timeline) follow(timeline, file);
  const again = found.querySelector(".again");
  if (again) {
    again.hidden = false;
    again.querySelector("button").addEventListener("click", () => {
      writeCase([file], (words) => (again.querySelector("span").textContent = words));
    });
  }
}

function tell(row, found) {
  const link = document.createElement("a");
  link.href = `#${found.id}`;
  link.textContent = found.querySelector(".name")?.textContent ?? row.cells[2].textContent;
  row.cells[0].textContent = found.dataset.verdict;
  row.cells[1].textContent = found.dataset.percent || "no score";
  row.cells[2].replaceChildren(link);
}

// Shows the user's own file above its timeline, which then works like a slider.
function follow(timeline, file) {
  const lanes = timeline.querySelector(".lanes");
  const points = [...lanes.querySelectorAll("[data-seconds]")];
  const times = [...new Set(points.map((each) => Number(each.dataset.seconds)))].sort((one, other) => one - other);
  const length = Number(timeline.dataset.seconds);
  const video = document.createElement("video");
  Object.assign(video, { controls: true, muted: true, playsInline: true, preload: "auto" });
  video.setAttribute("aria-label", `The video ${shown(file.name)}`);

  function mark() {
    const at = `${(100 * Math.min(video.currentTime / length, 1)).toFixed(2)}%`;
    for (const line of lanes.querySelectorAll(".now")) {
      for (const end of ["x1", "x2"]) line.setAttribute(end, at);
      line.setAttribute("visibility", "visible");
    }
    const near = times.reduce((best, each) =>
      Math.abs(each - video.currentTime) < Math.abs(best - video.currentTime) ? each : best,
    );
    const said = points.filter((each) => Number(each.dataset.seconds) === near);
    lanes.setAttribute("aria-valuenow", video.currentTime.toFixed(1));
    lanes.setAttribute("aria-valuetext", said.map((each) => each.querySelector("title").textContent).join("; "));
  }

  function seek(seconds) {
    video.currentTime = Math.min(Math.max(seconds, 0), length);
  }

  // only what the browser can play is offered
  video.addEventListener("loadedmetadata", () => {
    timeline.prepend(video);
    reveal(timeline);
    lanes.classList.add("seeks");
    for (const [name, value] of Object.entries({
      role: "slider", tabindex: 0, "aria-label": "Time in the video", "aria-valuemin": 0, "aria-valuemax": length,
    })) lanes.setAttribute(name, value);
    mark();
    video.addEventListener("timeupdate", mark);
    video.addEventListener("seeking", mark);
    lanes.addEventListener("click", (event) => {
      const lane = lanes.querySelector(".lane").getBoundingClientRect();
      seek((length * (event.clientX - lane.left)) / lane.width);
    });
    lanes.addEventListener("keydown", (event) => {
      const now = video.currentTime;
      const to = {
        ArrowRight: times.find((each) => each > now + 0.01), ArrowUp: times.find((each) => each > now + 0.01),
        ArrowLeft: times.findLast((each) => each < now - 0.01), ArrowDown: times.findLast((each) => each < now - 0.01),
        Home: times[0], End: times.at(-1),
      };
      if (!(event.key in to)) return;
      event.preventDefault();
      if (to[event.key] !== undefined) seek(to[event.key]);
    });
  });
  video.src = URL.createObjectURL(file);
  addresses.push(video.src);
}

function writeCase(files, say) {
  const name = files.length > 1 ? "case.html" : `${files[0].name.replace(/\.[^.]*$/, "")}-case.html`;
  return working(async () => {
    progress.textContent = "Writing the case file.";
    say("Writing it.");
    try {
      const answer = await send("case", files);
      if (answer.ok) {
        const link = document.createElement("a");
        link.download = name;
        link.href = URL.createObjectURL(await answer.blob());
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 60000);
        say(`Downloaded as ${shown(name)}.`);
      } else {
        const text = await answer.text();
        const page = new DOMParser().parseFromString(text, "text/html");
        say(page.querySelector(".error p")?.textContent ?? said(answer, text));
      }
    } catch {
      say(stopping.signal.aborted ? "It was stopped." : "The server does not answer.");
    }
  });
}

input.addEventListener("change", chosen);
document.getElementById("stop").addEventListener("click", () => stopping.abort());

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (stopping || !chosen()) return;
  const files = [...input.files];
  if (event.submitter?.hasAttribute("formaction")) writeCase(files, (words) => (problem.textContent = words));
  else working(() => judge(files));
});

// a file that misses the box must not replace the page
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(kind, () => drop.classList.toggle("over", over));
}

drop.addEventListener("drop", (event) => {
  if (stopping || !event.dataTransfer.files.length) return;
  input.files = event.dataTransfer.files;
  if (chosen()) form.requestSubmit();
});
