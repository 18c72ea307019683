// What `packing.py` packs: deflated bytes, and embeddings of which each byte stands for `mean + step * byte`.
async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The embeddings of all pixels under one network: unit vectors, and similarity to chosen points.
async function unpackedEmbeddings(packed, scene) {
  const planes = new Int8Array((await inflated(packed.bytes)).buffer), { mean, step } = packed;
  const dimension = mean.length, pixels = scene.inside.length, known = planes.length / dimension;
  const bytes = new Int8Array(pixels * dimension), shorten = new Float32Array(pixels);
  for (let p = 0, number = 0; p < pixels; p++) {
    if (!scene.inside[p]) continue;
    let square = 0;
    for (let d = 0; d < dimension; d++) {
      const byte = (bytes[p * dimension + d] = planes[d * known + number]);
      square += (mean[d] + step * byte) ** 2;
    }
    shorten[p] = 1 / Math.max(Math.sqrt(square), 1e-9);
    number++;
  }
  const vector = (p) => {
    const values = new Float32Array(dimension);
    for (let d = 0; d < dimension; d++) values[d] = (mean[d] + step * bytes[p * dimension + d]) * shorten[p];
    return values;
  };

  // the cosine of every pixel to L2(mean of similar points - weight * mean of dissimilar ones); 0 stands for -1, 255 for 1
  function similarityTo(points) {
    const query = new Float64Array(dimension), count = { true: 0, false: 0 };
    points.forEach((point) => count[point.similar]++);
    for (const point of points) {
      const weight = (point.similar ? 1 : -scene.dissimilarWeight) / count[point.similar];
      vector((point.image * scene.height + point.row) * scene.width + point.column).forEach((value, d) => { query[d] += weight * value; });
    }
    const length = Math.max(Math.hypot(...query), 1e-9);
    const along = query.map((value) => (value / length) * step), constant = query.reduce((sum, value, d) => sum + (value / length) * mean[d], 0);
    const similarity = new Uint8Array(pixels);
    for (let p = 0, at = 0; p < pixels; p++) {
      let sum = constant;
      for (let d = 0; d < dimension; d++) sum += along[d] * bytes[at++];
      similarity[p] = scene.inside[p] ? Math.max(0, Math.min(255, 127.5 * (sum * shorten[p] + 1) + 0.5)) : 0;
    }
    return similarity;
  }
  return { dimension, vector, similarityTo };
}
