// Passerby's page script. Every page works without it; it reads the chart aloud and under the pointer, changes
// tabs and figures in place, and keeps an open page fresh.
(() => {
  const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
  const body = document.body;

  // The server's last word on each living part, to replace only what has changed.
  const known = new Map($$("[data-live]").map(e => [e.id, e.outerHTML]));
  let turn = 0, last = Date.now();

  // Asks for a page and puts its living parts in place. `asked`: by a click, so replace what is in use, too.
  async function load(url, asked) {
    const mine = ++turn;
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    if (mine !== turn) return;
    if (answer.redirected || answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error("no page");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return;
    last = Date.now();
    const fresh = $$("[data-live]", page);
    if (fresh.map(e => e.id).join() !== $$("[data-live]").map(e => e.id).join()) {
      // An address with a fragment would only scroll.
      return url === location.href ? location.reload() : location.assign(url);
    }
    const focus = document.activeElement?.getAttribute("href");
    for (const part of fresh) {
      const old = document.getElementById(part.id), html = part.outerHTML;
      if (known.get(part.id) === html || !asked && (old.matches(":hover") || old.contains(document.activeElement))) continue;
      for (const kept of $$("[data-keep][open]", old)) { const same = $("#" + kept.id, part); if (same) same.open = true }
      old.replaceWith(document.adoptNode(part));
      known.set(part.id, html);
    }
    if (asked) {
      document.title = page.title;
      $(".when")?.replaceWith(document.adoptNode($(".when", page)));
      if (focus && document.activeElement === body) $$(".figs a, .seg a, .tabs a").find(a => a.getAttribute("href") === focus)?.focus();
    }
  }

  const every = Number(body.dataset.refresh) * 1000;
  const refresh = () => {
    if (document.hidden || Date.now() - last < every - 500) return;
    last = Date.now();
    load(location.href).catch(() => {});
  };
  if (every) {
    setInterval(refresh, every);
    document.addEventListener("visibilitychange", refresh);
  }

  // A site without visitors: asks every two seconds whether somebody came.
  const poll = body.dataset.poll;
  if (poll) setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(poll).catch(() => null);
    if (answer && (answer.status === 200 || answer.redirected)) location.reload();
  }, 2000);

  addEventListener("popstate", () => load(location.href, true).catch(() => location.reload()));

  addEventListener("click", e => {
    for (const menu of $$(".menu[open]")) if (!menu.contains(e.target)) menu.open = false;
    const copy = e.target.closest("[data-copy]");
    if (copy) navigator.clipboard.writeText($(copy.dataset.copy).textContent).then(() => { copy.lastChild.textContent = "Copied" });
    const a = e.target.closest("a");
    if (!a || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    if (a.dataset.tab) {
      e.preventDefault();
      const panel = a.closest(".panel");
      for (const other of $$(".tabs a", panel)) other === a ? other.setAttribute("aria-current", "true") : other.removeAttribute("aria-current");
      for (const tab of $$(".tab", panel)) tab.hidden = tab.dataset.tab !== a.dataset.tab;
      known.delete(panel.id);
      history.replaceState(null, "", a.href.split("#")[0]);
      load(location.href, true).catch(() => {});
    } else if (a.matches(".figs a, .seg a")) {
      e.preventDefault();
      history.pushState(null, "", a.href);
      load(a.href, true).catch(() => location.assign(a.href));
    }
  });
  if (navigator.clipboard) for (const button of $$("[data-copy]")) button.hidden = false;

  // The chart's crosshair reads the table beneath it: one source for eyes, ears and script.
  let at = -1;
  function show(plot, i) {
    const table = $("table", plot.parentNode), ys = plot.dataset.y.split(" "), n = ys.length;
    const row = table.tBodies[0].rows[at = Math.max(0, Math.min(n - 1, i))];
    const x = n > 1 ? at / (n - 1) : .5, cross = $(".cross", plot), tip = $(".tip", plot), dot = $("circle", cross), line = $("line", cross);
    for (const name of ["x1", "x2"]) line.setAttribute(name, x * 100 + "%");
    dot.setAttribute("cx", x * 100 + "%");
    dot.setAttribute("cy", ys[at] + "%");
    dot.setAttribute("visibility", ys[at] === "-" ? "hidden" : "inherit");
    cross.removeAttribute("visibility");
    const heads = $$("th", table).map(th => th.textContent);
    tip.replaceChildren(...[...row.cells].map((cell, c) => {
      const p = document.createElement("p"), b = document.createElement(c === 1 ? "b" : "span");
      if (c === 0) { p.textContent = cell.textContent; return p }
      if (c === 3 && cell.firstChild) b.className = cell.firstChild.className;
      b.textContent = cell.textContent;
      p.append(heads[c], b);
      return p;
    }).filter((p, c) => c < 3 || p.lastChild.textContent));
    tip.hidden = false;
    const w = plot.clientWidth, px = x * w, tw = tip.offsetWidth;
    tip.style.transform = `translate(${Math.round(px + (px + tw + 16 > w ? -tw - 14 : 14))}px, 28px)`;
    return [...row.cells].map(c => c.textContent).filter(Boolean).join(", ");
  }
  function hide() {
    at = -1;
    for (const tip of $$(".tip")) tip.hidden = true;
    for (const cross of $$(".cross")) cross.setAttribute("visibility", "hidden");
  }
  addEventListener("pointermove", e => {
    const plot = e.target.closest?.(".plot");
    if (!plot) return at < 0 || document.activeElement?.matches(".plot") || hide();
    const box = plot.getBoundingClientRect(), n = plot.dataset.y.split(" ").length;
    show(plot, Math.round((e.clientX - box.left) / box.width * (n - 1)));
  });
  document.addEventListener("pointerleave", hide);
  addEventListener("focusout", e => e.target.matches?.(".plot") && hide());
  addEventListener("keydown", e => {
    if (e.key === "Escape") {
      hide();
      for (const menu of $$(".menu[open]")) { menu.open = false; $("summary", menu).focus() }
    }
    if (!e.target.matches?.(".plot")) return;
    const n = e.target.dataset.y.split(" ").length;
    const to = { ArrowLeft: at < 0 ? n - 1 : at - 1, ArrowRight: at + 1, Home: 0, End: n - 1 }[e.key];
    if (to !== undefined) { e.preventDefault(); $(".say", e.target).textContent = show(e.target, to) }
  });
})();
