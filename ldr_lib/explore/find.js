// "Find this point" without a kernel: the formulas of ldr_lib/template.py for one Gaussian around the point.
// Vectors lie one after the other in one array; (h, w) cells of a few pixels, D dimensions.
function pointFinder(embeddings, scene) {
  const { width, height, inside } = scene, { cell, deviation, reach, between, common, many } = scene.find;
  const D = embeddings.dimension, h = Math.floor(height / cell), w = Math.floor(width / cell), area = width * height;
  const described = new Map();
  const describe = (image) => described.get(image) ?? described.set(image, blurred(cells(image))).get(image);
  const divide = (values, start, by) => { for (let d = start; d < start + D; d++) values[d] /= by; };
  const length = (values, start) => { let sum = 0; for (let d = start; d < start + D; d++) sum += values[d] ** 2; return Math.sqrt(sum); };

  // Each dimension with mean 0 and deviation 1 in the field of view, each pixel of length 1, means over cells.
  function cells(image) {
    const pixels = Array.from({ length: area }, (_, p) => p).filter((p) => inside[image * area + p]);
    const vectors = new Map(pixels.map((p) => [p, embeddings.vector(image * area + p)]));
    const mean = new Float64Array(D), square = new Float64Array(D);
    for (const vector of vectors.values()) {
      for (let d = 0; d < D; d++) { mean[d] += vector[d] / pixels.length; square[d] += vector[d] ** 2 / pixels.length; }
    }
    const spread = square.map((value, d) => Math.sqrt(Math.max(value - mean[d] ** 2, 1e-12)));
    const sums = new Float32Array(h * w * D), covered = new Float32Array(h * w);
    for (const [p, vector] of vectors) {
      const row = Math.floor(p / width / cell), column = Math.floor((p % width) / cell), c = row * w + column;
      if (row >= h || column >= w) continue;
      for (let d = 0; d < D; d++) vector[d] = (vector[d] - mean[d]) / spread[d];
      divide(vector, 0, Math.max(length(vector, 0), 1e-12) * cell ** 2);
      for (let d = 0; d < D; d++) sums[c * D + d] += vector[d];
      covered[c] += 1 / cell ** 2;
    }
    return { vectors: sums, inside: covered.map((share) => share > 0.5) };
  }

  // The centre-weighted mean around every cell, of length 1; 0 outside the field of view.
  function blurred({ vectors, inside }) {
    const radius = Math.floor(3 * deviation + 0.5), weights = [];
    for (let i = -radius; i <= radius; i++) weights.push(Math.exp(-((i / deviation) ** 2) / 2));
    const total = weights.reduce((sum, weight) => sum + weight);
    const along = (values, rows) => {
      const result = new Float32Array(values.length), count = rows ? h : w, stride = (rows ? w : 1) * D;
      for (let c = 0; c < h * w; c++) {
        const at = rows ? Math.floor(c / w) : c % w;
        for (let i = Math.max(-radius, -at); i <= Math.min(radius, count - 1 - at); i++) {
          const weight = weights[i + radius] / total, from = c * D + i * stride;
          for (let d = 0; d < D; d++) result[c * D + d] += weight * values[from + d];
        }
      }
      return result;
    };
    const mean = along(along(vectors, true), false);
    for (let c = 0; c < h * w; c++) divide(mean, c * D, inside[c] ? Math.max(length(mean, c * D), 1e-6) : Infinity);
    return { vectors: mean, inside };
  }

  // The mean of the vectors at the chosen points, of length 1.
  function templateOf(points) {
    const wanted = new Float32Array(D);
    for (const point of points) {
      const [row, column] = [point.row, point.column].map((at) => Math.round(at / cell - 0.5 + 0.5 / cell));
      if (row >= h || column >= w) continue;
      const { vectors } = describe(point.image), start = (row * w + column) * D;
      for (let d = 0; d < D; d++) wanted[d] += vectors[start + d] / points.length;
    }
    divide(wanted, 0, Math.max(length(wanted, 0), 1e-6));
    return wanted;
  }

  // The cosine of every cell to the template; -1 outside.
  function scoreMap(image, wanted) {
    const { vectors, inside } = describe(image);
    return Float32Array.from(inside, (there, c) => {
      if (!there) return -1;
      let sum = 0;
      for (let d = 0; d < D; d++) sum += vectors[c * D + d] * wanted[d];
      return Math.max(-1, Math.min(1, sum));
    });
  }

  // From which score on a point counts as found: in the middle between the best other place of its own image and the point itself.
  // And whether it is distinctive: few other places there look like it (ldr_lib/distinctive.py).
  function boundsOf(points, maps) {
    const others = [], chosen = [];
    for (const point of points) {
      let near = -1;
      maps[point.image].forEach((score, c) => {
        const [row, column] = [Math.floor(c / w), c % w].map((at) => at * cell + (cell - 1) / 2);
        if (Math.hypot(row - point.row, column - point.column) > reach) others.push(score);
        else near = Math.max(near, score);
      });
      chosen.push(near);
    }
    const elsewhere = others.reduce((most, score) => Math.max(most, score), -1), own = Math.min(...chosen);
    const level = (common * chosen.reduce((sum, score) => sum + score)) / chosen.length, seen = others.filter((score) => score > -1);
    const alike = seen.filter((score) => score >= level).length / Math.max(1, seen.length);
    return { bound: elsewhere + between * Math.max(0, own - elsewhere), distinctive: alike < many };
  }

  // The best cell, between cells by a parabola.
  function bestPlace(map) {
    let best = 0;
    map.forEach((score, c) => { if (score > map[best]) best = c; });
    const between = (at, count, stride) => {
      if (at === 0 || at === count - 1 || Math.min(map[best - stride], map[best + stride]) <= -1) return at;
      const [before, here, after] = [map[best - stride], map[best], map[best + stride]], bend = before - 2 * here + after;
      return bend < 0 ? at + (0.5 * (before - after)) / bend : at;
    };
    const [row, column] = [between(Math.floor(best / w), h, w), between(best % w, w, 1)].map((at) => Math.round((at + 0.5) * cell - 0.5));
    return { row, column, score: map[best] };
  }

  return (points) => {
    const similar = points.filter((point) => point.similar);
    if (!similar.length) return [];
    const wanted = templateOf(similar), maps = scene.names.map((_, image) => scoreMap(image, wanted)), { bound, distinctive } = boundsOf(similar, maps);
    return maps.map((map) => { const place = bestPlace(map); return { ...place, found: place.score >= bound, distinctive }; });
  };
}
