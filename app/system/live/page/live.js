"use strict";
const find = (id) => document.getElementById(id);

function connectCounter(wait = 250) {
  const address = new URL("/live/counter", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.onopen = () => { wait = 250; find("press").disabled = false; };
  socket.onmessage = (message) => {
    const told = JSON.parse(message.data);
    find("number").textContent = told.number;
    if ("slot" in told) find("counter-slot").textContent = told.slot;
  };
  socket.onclose = () => {
    find("press").disabled = true;
    setTimeout(connectCounter, wait, Math.min(wait * 2, 8000));
  };
  find("press").onclick = () => socket.send("+1");
}

function connectClock() {
  new EventSource("/live/clock").onmessage = (event) => {
    const told = JSON.parse(event.data);
    find("time").textContent = told.time;
    find("clock-slot").textContent = told.slot;
  };
}

async function followJob(id) {
  for (;;) {
    const answer = await fetch(`/live/jobs/${id}`);
    if (!answer.ok) { find("job").textContent = `The job cannot be seen: ${answer.status}.`; return; }
    const job = await answer.json();
    if (job.progress) find("progress").value = job.progress.done / job.progress.total;
    find("job").textContent = job.status === "waiting" ? "It waits for a worker: make worker." : `The job is ${job.status}.`;
    if (job.status === "succeeded" || job.status === "failed") return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

find("start").onclick = async () => {
  find("start").disabled = true;
  find("progress").value = 0;
  try {
    const answer = await fetch("/live/jobs", { method: "POST" });
    if (answer.ok) await followJob((await answer.json()).id);
    else find("job").textContent = `The job could not begin: ${answer.status}.`;
  } finally {
    find("start").disabled = false;
  }
};

connectCounter();
connectClock();
