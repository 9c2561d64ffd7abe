"use strict";
// Dots move between boxes, a box a stage; a dot keeps the patient's number under every plan.
(function () {
  const said = JSON.parse(document.getElementById("moving-data").textContent);
  const picture = document.getElementById("stage");
  const button = document.getElementById("play");
  const slider = document.getElementById("day");
  const plan = document.getElementById("plan");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const across = 4, wide = 256, tall = 170, gap = 16, head = 26, dot = 9;
  const a_second = 12;
  const colours = ["#56B4E9", "#E69F00", "#E69F00", "#E69F00", "#009E73", "#D55E00", "#E69F00",
    "#CC79A7", "#0072B2", "#8a8a8a", "#1a1a1a"];

  function make(name, settings, words) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in settings) made.setAttribute(key, settings[key]);
    if (words !== undefined) made.textContent = words;
    picture.appendChild(made);
    return made;
  }

  const corner = said.stages.map(function (_, n) {
    return [(n % across) * (wide + gap), Math.floor(n / across) * (tall + gap)];
  });
  const numbers = said.stages.map(function (name, n) {
    const [x, y] = corner[n];
    make("rect", { x: x + 1, y: y + 1, width: wide - 2, height: tall - 2, fill: "#f3f5f7", stroke: "#c9ced4" });
    make("text", { x: x + 8, y: y + 18, "font-size": 13, fill: "#1a1a1a" }, name);
    return make("text", { x: x + wide - 8, y: y + 18, "font-size": 13, "font-weight": 600, "text-anchor": "end", fill: "#1a1a1a" }, "0");
  });
  const dots = said.arms[0].patients.map(function () {
    return { mark: make("circle", { r: 4, cx: 0, cy: 0, visibility: "hidden" }), x: null, y: null };
  });

  function stage_on(changes, day) {
    let stage = -1;
    for (let n = 0; n < changes.length && changes[n] < day; n += 2) stage = changes[n + 1];
    return stage;
  }

  // Each box is filled row by row, in the order of the patients; `moved` 1 is at once.
  function draw(day, moved) {
    const patients = said.arms[plan ? Number(plan.value) : 0].patients;
    const filled = said.stages.map(function () { return 0; });
    const a_row = Math.floor((wide - 16) / dot);
    dots.forEach(function (one, n) {
      const stage = n < patients.length ? stage_on(patients[n], day) : -1;
      one.mark.setAttribute("visibility", stage < 0 ? "hidden" : "visible");
      if (stage < 0) { one.x = null; return; }
      const at = filled[stage]++;
      const x = corner[stage][0] + 12 + (at % a_row) * dot;
      const y = corner[stage][1] + head + 10 + Math.floor(at / a_row) * dot;
      one.x = one.x === null ? x : one.x + (x - one.x) * moved;
      one.y = one.y === null ? y : one.y + (y - one.y) * moved;
      one.mark.setAttribute("cx", one.x.toFixed(1));
      one.mark.setAttribute("cy", one.y.toFixed(1));
      one.mark.setAttribute("fill", colours[stage]);
    });
    filled.forEach(function (number, n) { numbers[n].textContent = String(number); });
  }

  function tell(day) {
    const words = "week " + Math.min(Math.floor(day / 7) + 1, Math.ceil(said.days / 7)) + ", day " + day;
    document.getElementById("when").textContent = words;
    slider.setAttribute("aria-valuetext", words);
  }

  let playing = false, since = 0, from = 0;

  function stop() {
    playing = false;
    button.textContent = "Play";
  }

  // Without motion the picture goes on a week at a time, and nothing glides.
  function frame(now) {
    if (!playing) return;
    const gone = (now - since) / 1000;
    const reached = still.matches ? from + 7 * Math.floor(gone) : from + gone * a_second;
    const day = Math.min(Math.floor(reached), said.days);
    if (String(day) !== slider.value) {
      slider.value = String(day);
      tell(day);
    }
    draw(day, still.matches ? 1 : 0.25);
    if (day >= said.days) {
      draw(day, 1);
      stop();
    } else {
      window.requestAnimationFrame(frame);
    }
  }

  function show() {
    const day = Number(slider.value);
    from = day;
    since = performance.now();
    tell(day);
    draw(day, 1);
  }

  button.addEventListener("click", function () {
    if (playing) {
      stop();
      draw(Number(slider.value), 1);
      return;
    }
    if (Number(slider.value) >= said.days) slider.value = "0";
    show();
    playing = true;
    button.textContent = "Pause";
    window.requestAnimationFrame(frame);
  });
  slider.addEventListener("input", show);
  if (plan) plan.addEventListener("change", show);
  slider.max = String(said.days);
  slider.value = String(Math.floor(said.days / 2));
  document.getElementById("stage-tools").hidden = false;
  show();
})();
