"use strict";
// Asks /worker a few times. Each answer ends its connection, and connections that are opened at the
// same time are taken by different workers. No dollar signs here: the page is a template.
(() => {
  const tiles = document.getElementById("tiles");
  const button = document.getElementById("ask");
  const told = document.getElementById("told");
  const workers = Number(tiles.dataset.workers);
  const atOnce = 6;
  const rounds = Math.min(8, 2 + workers);

  const count = (number, word) => number + " " + word + (number === 1 ? "" : "s");

  const add = (className, before) => {
    const tile = document.createElement("li");
    tile.className = className;
    return tiles.insertBefore(tile, before);
  };

  const write = (tile, name, text) => {
    const part = tile.querySelector("." + name) || tile.appendChild(document.createElement("span"));
    part.className = name;
    part.textContent = text;
  };

  const find = (slot) => {
    const heard = [...tiles.querySelectorAll("[data-slot]")];
    const known = heard.find((tile) => Number(tile.dataset.slot) === slot);
    if (known) return known;
    const silent = tiles.querySelector(".silent");
    if (silent) silent.remove();
    const next = heard.find((tile) => Number(tile.dataset.slot) > slot);
    return add("tile seen", next || tiles.querySelector(".silent"));
  };

  const show = (worker) => {
    const tile = find(worker.slot);
    const isSame = Number(tile.dataset.pid) === worker.pid;
    const answers = isSame ? Number(tile.dataset.answers) + 1 : 1;
    Object.assign(tile.dataset, { slot: worker.slot, pid: worker.pid, answers });
    write(tile, "slot", "slot " + worker.slot);
    write(tile, "pid", "pid " + worker.pid);
    write(tile, "answers", count(answers, "answer"));
  };

  const fill = () => {
    for (let n = tiles.children.length; n < workers; n += 1) {
      write(add("tile silent", null), "answers", "not heard from yet");
    }
  };

  const askOne = async () => {
    const response = await fetch("/worker", { cache: "no-store" });
    if (response.ok) show(await response.json());
  };

  const ask = async () => {
    button.disabled = true;
    let failed = 0;
    for (let round = 0; round < rounds; round += 1) {
      const answers = await Promise.allSettled(Array.from({ length: atOnce }, askOne));
      failed += answers.filter((answer) => answer.status === "rejected").length;
      if (!tiles.querySelector(".silent")) break;
    }
    const heard = tiles.querySelectorAll("[data-slot]").length;
    const done = count(heard, "worker") + " heard from";
    told.textContent = failed
      ? count(failed, "request") + " got no answer. Is the service still running?"
      : done + ", each answer over a connection of its own.";
    button.disabled = false;
  };

  // Others may not run. What they answer cannot be read, but that they answer can be seen.
  const askOther = async (link) => {
    if (location.protocol === "https:" && link.protocol === "http:") return;
    const options = { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(3000) };
    try {
      await fetch(link.href, options);
    } catch {
      link.parentElement.classList.add("away");
      link.parentElement.querySelector("span").textContent = "does not answer";
    }
  };

  document.querySelectorAll("a[data-asked]").forEach(askOther);
  fill();
  button.hidden = false;
  button.addEventListener("click", ask);
  ask();
})();
