// Shows the images of a scene, lets a user choose points, and paints how similar all pixels are.
// When the points change, `query(points)` is called. The caller computes the similarity and hands it to `update` of the returned object.
function similarityExplorer(root, scene, query, options = {}) {
  const { width, height, names, inside, nClusters, steps } = scene, area = width * height;
  const state = { points: scene.points.slice(), threshold: scene.threshold, opacity: 0.65, view: "similarity", similar: true, hover: null, finding: false, found: [], step: 0, stretched: !steps.length };
  let similarity = null, range = [0, 255], clusters = scene.clusters;

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== false) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };
  const cosine = (byte) => byte / 127.5 - 1;

  // cividis, a colour map that colour-blind readers see in the same order, interpolated between ten of its colours
  const stops = [[0, 34, 78], [18, 53, 112], [59, 73, 109], [87, 92, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];
  const palette = Array.from({ length: 256 }, (_, i) => {
    const position = (i / 255) * (stops.length - 1), low = Math.min(Math.floor(position), stops.length - 2);
    return stops[low].map((value, c) => value + (stops[low + 1][c] - value) * (position - low));
  });

  // ---- controls -------------------------------------------------------------------------------------------
  const button = (text, title, action) => make("button", { type: "button", title, onclick: action }, text);
  const similar = button("+ similar", "look for pixels similar to the next point", () => choose(true));
  const dissimilar = button("\u2212 dissimilar", "keep out pixels similar to the next point", () => choose(false));
  function choose(value) {
    state.similar = value;
    similar.setAttribute("aria-pressed", value);
    dissimilar.setAttribute("aria-pressed", !value);
  }
  const slide = stepSlider(make, steps, (step) => { state.step = step; options.onstep(step); });
  const stretch = button("stretch colours", "colours from the least to the most similar pixel of this step, instead of 0 to 1 at every step", () => {
    state.stretched = !state.stretched;
    stretch.setAttribute("aria-pressed", state.stretched);
    update(similarity);
  });
  stretch.setAttribute("aria-pressed", state.stretched);
  const find = button("find this point", "mark in every image the place that looks most like the chosen one", () => options.onfinding(!state.finding));
  find.setAttribute("aria-pressed", false);
  const view = make("select", { "aria-label": "what is shown", onchange: () => { state.view = view.value; paint(); } });
  view.append(make("option", { value: "similarity" }, "similarity"), make("option", { value: "segmentation" }, "segmentation"));
  for (let k = 0; k < nClusters; k++) view.append(make("option", { value: `cluster ${k}` }, `cluster ${k}`));
  view.append(make("option", { value: "image" }, "image only"));
  const slider = (name, low, high, start, action) => {
    const shown = make("output", {}, start.toFixed(2));
    const input = make("input", { type: "range", min: low, max: high, step: 0.01, value: start, "aria-label": name });
    input.addEventListener("input", () => { shown.textContent = (+input.value).toFixed(2); action(+input.value); });
    return make("label", {}, `${name} `, input, " ", shown);
  };
  const legend = make("canvas", { width: 128, height: 10, "aria-hidden": "true" }), lowest = make("span"), highest = make("span");
  palette.forEach(([r, g, b], i) => {
    const context = legend.getContext("2d");
    context.fillStyle = `rgb(${r},${g},${b})`;
    context.fillRect(i / 2, 0, 1, 10);
  });
  const message = make("p", { class: "ldr-message", role: "status", "aria-live": "polite" });
  const toolbar = make("div", { class: "ldr-toolbar", role: "toolbar", "aria-label": "explorer" },
    make("span", { class: "ldr-group", role: "group", "aria-label": "kind of the next point" }, similar, dissimilar),
    button("undo", "remove the last point", () => setPoints(state.points.slice(0, -1))),
    button("clear", "remove all points", () => setPoints([])),
    find,
    make("label", {}, "show ", view),
    slider("threshold", -1, 1, state.threshold, (value) => { state.threshold = value; options.onthreshold?.(value); paint(); }),
    slider("opacity", 0, 1, state.opacity, (value) => { state.opacity = value; paint(); }),
    ...(steps.length ? [stretch] : []),
    button("save masks and points", "masks as PNG, points as JSON", () => options.save(api)),
    make("span", { class: "ldr-legend" }, lowest, " ", legend, " ", highest),
  );

  // ---- the images -----------------------------------------------------------------------------------------------------
  const scale = Math.max(1, Math.ceil(320 / width));
  const views = names.map((name, n) => {
    const canvas = make("canvas", { width: width * scale, height: height * scale, tabindex: 0, role: "application" });
    canvas.setAttribute("aria-label", `${name}: arrow keys move the cursor, with shift faster; enter chooses the pixel`);
    const caption = make("figcaption", {}, name);
    const source = new Image(), one = { n, name, canvas, caption, source, cursor: null, layer: make("canvas", { width, height }) };
    source.onload = () => draw(one);
    source.src = scene.images[n];
    const pixelAt = (event) => {
      const box = canvas.getBoundingClientRect();
      const pixel = (at, start, extent, count) => Math.min(count - 1, Math.max(0, Math.floor(((at - start) / extent) * count)));
      return { row: pixel(event.clientY, box.top, box.height, height), column: pixel(event.clientX, box.left, box.width, width) };
    };
    canvas.addEventListener("click", (event) => { one.cursor = pixelAt(event); mark(one); });
    canvas.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 10 : 1, moves = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] };
      one.cursor ??= { row: height >> 1, column: width >> 1 };
      if (moves[event.key]) {
        one.cursor.row = Math.min(height - 1, Math.max(0, one.cursor.row + moves[event.key][0]));
        one.cursor.column = Math.min(width - 1, Math.max(0, one.cursor.column + moves[event.key][1]));
        draw(one);
      } else if (event.key === "Enter" || event.key === " ") mark(one);
      else return;
      event.preventDefault();
    });
    canvas.addEventListener("blur", () => { one.cursor = null; draw(one); });
    if (options.hover) {
      canvas.addEventListener("pointermove", (event) => hover({ image: n, ...pixelAt(event), similar: state.similar }));
      canvas.addEventListener("pointerleave", () => hover(null));
    }
    return one;
  });
  const isInside = (point) => inside[point.image * area + point.row * width + point.column];
  function mark(one) {
    const point = { image: one.n, ...one.cursor, similar: state.similar };
    if (!isInside(point)) say(`That pixel of ${one.name} lies outside the field of view: choose one inside it.`);
    else if (!point.similar && !state.points.some((other) => other.similar)) say("First choose a similar pixel, then dissimilar ones.");
    else setPoints([...state.points, point]);
    draw(one);
  }
  function hover(point) {
    if (point && (!isInside(point) || (!point.similar && !state.points.length))) return;
    state.hover = point;
    query(point ? [...state.points, point] : state.points);
  }
  function setPoints(points) {
    state.points = points.some((point) => point.similar) ? points : [];
    state.hover = null;
    if (!state.points.length) { similarity = null; say("Click a pixel in any image, or reach an image with the tab key."); }
    query(state.points);
    if (!state.points.length) paint();
  }

  // ---- painting ---------------------------------------------------------------------------------------------------------
  const marked = (i) => similarity && inside[i] && similarity[i] >= (state.threshold + 1) * 127.5;
  function colourOf(i) {
    if (!inside[i] || state.view === "image") return null;
    if (state.view.startsWith("cluster")) return clusters[i] === +state.view.slice(8) ? [255, 176, 0] : null;
    if (!similarity) return null;
    if (state.view === "segmentation") return marked(i) ? [0, 229, 255] : null;
    return palette[Math.max(0, Math.min(255, Math.round(((similarity[i] - range[0]) / (range[1] - range[0])) * 255)))];
  }
  function draw(one) {
    const context = one.canvas.getContext("2d"), layer = one.layer.getContext("2d"), pixels = layer.createImageData(width, height);
    let covered = 0, fov = 0;
    for (let p = 0; p < area; p++) {
      const i = one.n * area + p, colour = colourOf(i);
      fov += inside[i];
      covered += state.view.startsWith("cluster") ? (inside[i] && clusters[i] === +state.view.slice(8)) : marked(i) || 0;
      if (colour) pixels.data.set([colour[0], colour[1], colour[2], 255 * state.opacity], 4 * p);
    }
    layer.putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = true;
    context.filter = similarity && state.view === "similarity" ? "grayscale(1)" : "none";
    context.drawImage(one.source, 0, 0, one.canvas.width, one.canvas.height);
    context.filter = "none";
    context.imageSmoothingEnabled = false;
    context.drawImage(one.layer, 0, 0, one.canvas.width, one.canvas.height);
    const middle = (pixel) => [(pixel.column + 0.5) * scale, (pixel.row + 0.5) * scale];
    for (const point of state.points) if (point.image === one.n) drawPoint(context, ...middle(point), point.similar);
    const place = state.found[one.n];
    if (place) drawFound(context, ...middle(place), place.found);
    if (one.cursor && document.activeElement === one.canvas) drawCursor(context, ...middle(one.cursor));
    const percent = `${((100 * covered) / Math.max(1, fov)).toFixed(1)} %`;
    const share = similarity || state.view.startsWith("cluster") ? `${one.name}: ${percent}` : one.name;
    one.caption.textContent = place ? `${share}, ${place.found ? "found" : "not in this image"} (score ${place.score.toFixed(2)})` : share;
  }
  function showFound(finding, found) {
    state.finding = finding;
    state.found = found;
    find.setAttribute("aria-pressed", finding);
    if (finding && !found.length) say("Choose a point, and it is looked for in all images.");
    else tell();
    paint();
  }
  function showStep(step, itsClusters) {
    state.step = step;
    clusters = itsClusters;
    slide?.show(step);
    paint();
  }
  function paint() { views.forEach(draw); }
  function say(text) { message.textContent = text; }

  function update(bytes, points = null) {
    if (points) state.points = points;
    similarity = bytes && bytes.length ? bytes : null;
    if (similarity) {
      const counts = new Uint32Array(256);
      let total = 0;
      for (let i = 0; i < bytes.length; i++) if (inside[i]) { counts[bytes[i]]++; total++; }
      const quantile = (share) => { let sum = 0, b = 0; while (b < 255 && (sum += counts[b]) < share * total) b++; return b; };
      range = state.stretched ? [quantile(0.02), quantile(0.995)] : [127.5, 255];
      if (range[1] === range[0]) range[1]++;
      lowest.textContent = cosine(range[0]).toFixed(2);
      highest.textContent = cosine(range[1]).toFixed(2);
      tell();
    }
    paint();
  }
  function tell() {
    if (!similarity || state.hover) return;
    const at = steps.length ? `At step ${steps[state.step].toLocaleString("en")}: ` : "", n = state.points.length;
    const common = state.found.some((place) => !place.distinctive) ? " Nothing is distinctive at this point: many other places in its image look the same. Choose a point at a structure." : "";
    say(`${at}${n} point${n > 1 ? "s" : ""}; captions give the share of the field of view above the threshold.${common}`);
  }

  const api = {
    state, update, say, setPoints, showFound, showStep,
    similarity: () => similarity,
    masks: () => names.map((_, n) => Uint8Array.from({ length: area }, (_, p) => (marked(n * area + p) ? 255 : 0))),
  };
  root.classList.add("ldr-explorer");
  root.explorer = api;
  root.replaceChildren(toolbar, ...(slide ? [slide.label] : []), message, make("div", { class: "ldr-images" }, ...views.map((one) => make("figure", {}, one.canvas, one.caption))));
  choose(true);
  say(scene.message || "Click a pixel in any image, or reach an image with the tab key.");
  return api;
}

// `count` unsigned integers from their bytes, which may be one, two or four each, the lowest first.
function wholeNumbers(bytes, count) {
  const width = bytes.length / count;
  return Uint32Array.from({ length: count }, (_, i) => {
    let value = 0;
    for (let b = width - 1; b >= 0; b--) value = 256 * value + bytes[width * i + b];
    return value;
  });
}
