// Keeps the dashboard's page as the run is, without a reload. It needs nothing but the browser.
//
// All pages of one browser that show the same share one stream: a browser opens six connections to
// one place and no more. Whoever holds the lock listens, and passes on what it hears. What comes is
// HTML that the server has escaped; it is laid over what is there, so that what somebody has opened,
// marked or scrolled to stays so.
"use strict";

const main = document.querySelector("main[data-at]");
if (main) start();

function start() {
  const of = main.dataset.of, live = document.getElementById("live");
  const others = "BroadcastChannel" in self ? new BroadcastChannel(`run:${of}`) : null;
  const versions = new Map();
  let at = main.dataset.at;

  const instance = name => name.split("-")[0];
  const number = name => Number(name.split("-")[1]);

  function apply(id, news) {
    if (instance(id) !== instance(at)) versions.clear();
    for (const [name, [version, html]] of Object.entries(news.parts)) {
      const frame = document.getElementById(`part-${name}`);
      if (!frame || version <= (versions.get(name) ?? 0)) continue;
      versions.set(name, version);
      lay(frame, html);
    }
    if (instance(id) !== instance(at) || number(id) > number(at)) {
      at = id;
      const said = document.getElementById("said");
      if (said.textContent !== news.words) said.textContent = news.words;
      document.title = `${news.words} – migration from S9`;
    }
  }

  function say(kind, words) {
    if (live.className === `live ${kind}` && live.textContent === words) return;
    live.className = `live ${kind}`;
    live.textContent = words;
  }

  function clock() { return new Date().toLocaleTimeString(); }

  let heard = clock();
  const STATES = {
    on: () => ["on", "Live"],
    lost: () => ["off", `As of ${heard}: not connected, trying again`],
    refused: () => ["off", `As of ${heard}: not let in, trying again. If the dashboard was started anew, open the address that it prints`],
    ended: () => ["off", `As of ${heard}: the dashboard has ended. Start it again, and open the address that it prints`],
  };
  let known = "";
  function state(name) {
    if (name === "lost" && known === "ended") return;  // nobody is there, as it has said
    if (name === "on") heard = clock();
    known = name;
    say(...STATES[name]());
  }

  function listen() {
    const stream = new EventSource(`/events?of=${encodeURIComponent(of)}&at=${encodeURIComponent(at)}`);
    const tell = message => { take(message); others?.postMessage(message); };
    stream.onopen = () => tell({state: "on"});
    stream.onmessage = event => tell({id: event.lastEventId, news: JSON.parse(event.data)});
    stream.addEventListener("end", () => { stream.close(); tell({state: "ended"}); again(); });
    stream.onerror = () => {
      const closed = stream.readyState === EventSource.CLOSED;
      tell({state: closed ? "refused" : "lost"});
      if (closed) again();
    };
  }

  function again() { setTimeout(listen, 3000); }

  function take(message) {
    if (message.state) state(message.state);
    else { apply(message.id, message.news); state("on"); }
  }

  // What was missed between the page and the first message, or while nobody looked.
  async function catchUp() {
    try {
      const answer = await fetch(`/parts?of=${encodeURIComponent(of)}&at=${encodeURIComponent(at)}`);
      if (answer.ok) { const found = await answer.json(); take(found); }
    } catch { /* whoever listens says so */ }
  }

  if (others && navigator.locks) {
    others.onmessage = event => take(event.data);
    navigator.locks.request(`stream:${of}`, () => { listen(); return new Promise(() => {}); });
    catchUp();
    document.addEventListener("visibilitychange", () => { if (!document.hidden) catchUp(); });
  } else {
    listen();
  }
}

// Lays HTML over what is in a frame: what is the same stays, with its focus, its selection and
// whether it is open.
function lay(frame, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  children(frame, fresh);

  function children(there, wanted) {
    const olds = [...there.childNodes], news = [...wanted.childNodes];
    news.forEach((node, place) => {
      const old = olds[place];
      if (!old) there.append(document.importNode(node, true));
      else if (old.nodeName !== node.nodeName) old.replaceWith(document.importNode(node, true));
      else if (node.nodeType !== Node.ELEMENT_NODE) {
        if (old.data !== node.data) old.data = node.data;
      } else { attributes(old, node); children(old, node); }
    });
    olds.slice(news.length).forEach(node => node.remove());
  }

  function attributes(old, node) {
    for (const each of [...old.attributes])
      if (!node.hasAttribute(each.name) && each.name !== "open") old.removeAttribute(each.name);
    for (const each of node.attributes)
      if (old.getAttribute(each.name) !== each.value) old.setAttribute(each.name, each.value);
  }
}
