// Passerby's browser script. Served as /p.js, minified when the binary is built (build.rs).
//
//   <script defer src="https://stats.example.net/p.js" data-site="example.com"></script>
//
//   data-site        the site's domain; without it the page's host name, less "www."
//   data-api         where to send to; without it /api/track at the script's own origin
//   data-automation  counts browsers that say they are driven by a program (navigator.webdriver);
//                    without it they are not counted
//
//   passerby("Signup", {props: {plan: "yearly"}}) sends a custom event. To call it before the script is there:
//   window.passerby = window.passerby || function () { (passerby.q = passerby.q || []).push(arguments) }
//
// What it promises:
// - It reads and writes nothing in the browser's storage, no cookie, no cache, and sends no credentials.
// - It never throws into the page.
// - A page view leaves at once, everything else within 10 seconds or 50 events, all of it when the page is
//   hidden or left. A hidden or prerendered page is counted when it is first seen; one never seen, never.
// - A batch stays in memory until the server has said that it is stored, or that it never will be. Until then
//   it goes again after 1, 4, 16 ... seconds (at most 999) under the same id, by which the server counts it
//   once. Times travel as ages ("so long ago"), reckoned anew at each try: a wrong clock does no harm.
// - Memory is bounded: with 40 batches unanswered, further events are dropped.
//
// Names that begin with an underscore are the script's own and become one letter when it is built; all others
// belong to the browser or to the wire.
(() => {
  const _script = document.currentScript,
    _stub = window.passerby,
    _site = _script.dataset.site || location.hostname.replace(/^www\./, ""),
    _api = _script.dataset.api || new URL(_script.src).origin + "/api/track";

  // ---- batches: record, flush, send ----

  // Batches that the server has not answered for good.
  const _batches = new Set();
  // Events that are in no batch yet: their JSON without the closing brace, and when they happened.
  let _open = [],
    _openBytes = 0,
    _timer,
    // Bytes under way with keepalive. A browser allows 64 KiB at a time, and refuses what goes beyond.
    _flying = 0;

  const _bytesOf = (_text) => new Blob([_text]).size;

  const _record = (_event) => {
    // As text at once, so that what the page does to `props` later changes nothing.
    const _json = JSON.stringify(_event).slice(0, -1);
    // 20 for the age.
    const _bytes = _bytesOf(_json) + 20;
    if (_openBytes + _bytes > 6e4) _flush();
    if (_batches.size > 39) return;
    _openBytes += _bytes;
    _timer = _timer || setTimeout(_flush, 1e4);
    if (_open.push([_json, Date.now()]) > 49) _flush();
  };

  // Makes a batch of what is open and sends it; with `_all`, also those that wait for their next try.
  const _flush = (_all) => {
    clearTimeout(_timer);
    if (_open[0]) _batches.add({ _id: crypto.getRandomValues(new Uint32Array(4)).join(""), _events: _open, _tries: 0 });
    _open = [];
    _openBytes = _timer = 0;
    // Nothing leaves before the page was seen.
    if (_url) _batches.forEach((_batch) => (_all || !_batch._tries) && _send(_batch));
  };

  const _send = (_batch) => {
    if (_batch._busy) return;
    const _now = Date.now();
    const _ago = (_at) => Math.max(0, _now - _at);
    _batch._first = _batch._first || _now;
    _batch._busy = 1;
    clearTimeout(_batch._timer);
    const body =
      JSON.stringify({ v: 1, site: _site, batch: _batch._id, sent: _ago(_batch._first) }).slice(0, -1) +
      ',"events":[' +
      _batch._events.map((_event) => _event[0] + ',"age":' + _ago(_event[1]) + "}") +
      "]}";
    let _bytes = _bytesOf(body);
    const keepalive = _flying + _bytes < 64e3;
    if (!keepalive) _bytes = 0;
    _flying += _bytes;

    // `_status` 0: no answer at all. That, a time-out, too many requests and a server in trouble go again;
    // any other answer is the last word.
    const _answered = (_status, _retryAfter) => {
      _batch._busy = 0;
      _flying -= _bytes;
      if (_status && _status < 500 && _status != 408 && _status != 429) _batches.delete(_batch);
      else _batch._timer = setTimeout(_send, Math.min(Math.max(4 ** _batch._tries++, _retryAfter | 0), 999) * 1e3, _batch);
    };

    try {
      fetch(_api, { method: "POST", body, keepalive, credentials: "omit" }).then(
        (_response) => _answered(_response.status, _response.headers.get("retry-after")),
        () => _answered(),
      );
    } catch (_error) {
      // A beacon gets no answer: what the browser has taken counts as stored.
      _answered(navigator.sendBeacon(_api, body) && 202);
    }
  };

  // ---- pages: view, leave ----

  // The page in view: its address (none before the first was seen) and path.
  let _url,
    _path,
    // Only the first page view came from elsewhere.
    _ref = document.referrer,
    // Whether a view waits until the page can be seen.
    _pending,
    // Time visible and in focus that was not reported yet, ms; whether that clock runs, and since when.
    _engaged,
    _running,
    _since,
    // The lowest point seen, CSS pixels from the top; the deepest scroll reported, per cent.
    _depth,
    _reported;

  // The fragment stays in the browser.
  const _here = () => location.href.split("#")[0].slice(0, 2e3);

  const _view = () => {
    _pending = document.hidden;
    if (_pending) return;
    _tick();
    _engaged = _depth = _reported = 0;
    _path = location.pathname;
    _url = _here();
    _record({ type: "pageview", url: _url, ref: _ref.slice(0, 2e3) || undefined, width: innerWidth });
    _ref = "";
    _flush();
  };

  // Before the next page, and whenever this one is hidden: how long it was looked at since last reported, and
  // how far down.
  const _leave = () => {
    _tick();
    _look();
    const scroll = Math.min(100, Math.round((100 * _depth) / document.documentElement.scrollHeight)) || 0;
    if (!_pending && (_engaged > 99 || scroll > _reported)) {
      _record({ type: "engagement", url: _url, engaged: Math.round(_engaged), scroll });
      _engaged = 0;
      _reported = scroll;
    }
  };

  const _tick = () => {
    const _now = performance.now();
    if (_running) _engaged += _now - _since;
    _since = _now;
    _running = !document.hidden && document.hasFocus();
  };

  const _look = () => {
    _depth = Math.max(_depth, scrollY + innerHeight);
  };

  const _hide = () => {
    _leave();
    _flush(1);
  };

  const _moved = () => {
    if (location.pathname != _path) {
      _leave();
      _view();
    }
  };

  // ---- where the page and the browser call us ----

  const _safe =
    (_f) =>
    (_a, _b) => {
      try {
        _f(_a, _b);
      } catch (_error) {}
    };
  const _on = (_type, _f) => addEventListener(_type, _safe(_f), true);

  // A second tag on the same page would count everything twice.
  if (_stub && _stub.on) return;
  const _counted = !navigator.webdriver || _script.dataset.automation != null;
  window.passerby = _safe(
    (name, _more) => _counted && _record({ type: "event", url: _here(), name, props: (_more || 0).props }),
  );
  passerby.on = 1;
  if (!_counted) return;

  ["pushState", "replaceState"].map((_name) => {
    const _original = history[_name];
    history[_name] = function () {
      const _result = _original.apply(this, arguments);
      _safe(_moved)();
      return _result;
    };
  });
  _on("popstate", _moved);
  _on("pageshow", (_event) => _event.persisted && _view());
  _on("pagehide", _hide);
  // Caught on its way down from the window: it need not bubble.
  _on("visibilitychange", () => {
    if (document.hidden) _hide();
    else if (_pending) _view();
    else _tick();
  });
  _on("focus", _tick);
  _on("blur", _tick);
  _on("scroll", _look);
  _on("online", () => _flush(1));

  _safe(_view)();
  if (_stub && _stub.q) _stub.q.map((_call) => passerby(..._call));
})();
