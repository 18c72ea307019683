// The page holds the embeddings as signed bytes, so that the browser computes similarity without a kernel.
const decoded = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const scene = JSON.parse(document.getElementById("scene").textContent);
scene.inside = decoded(scene.inside);
scene.clusters = scene.clusters && wholeNumbers(decoded(scene.clusters), scene.inside.length);
const vectors = new Int8Array(decoded(scene.embeddings).buffer), dimension = scene.dimension, pixels = vectors.length / dimension;
const similarity = new Uint8Array(pixels);

function similarityTo(points) {
  const query = new Float32Array(dimension), count = { true: 0, false: 0 };
  points.forEach((point) => count[point.similar]++);
  for (const point of points) {
    const start = ((point.image * scene.height + point.row) * scene.width + point.column) * dimension;
    const weight = (point.similar ? 1 : -scene.dissimilarWeight) / count[point.similar];
    for (let d = 0; d < dimension; d++) query[d] += weight * vectors[start + d];
  }
  const length = Math.hypot(...query) * scene.scale;
  for (let d = 0; d < dimension; d++) query[d] *= 127.5 / Math.max(length, 1e-9);
  for (let p = 0, at = 0; p < pixels; p++) {
    let sum = 127.5;
    for (let d = 0; d < dimension; d++) sum += query[d] * vectors[at++];
    similarity[p] = scene.inside[p] ? Math.max(0, Math.min(255, sum + 0.5)) : 0;
  }
  return similarity;
}

function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function save(explorer) {
  if (!explorer.state.points.length) return explorer.say("There is nothing to save yet: choose a pixel first.");
  const { points, threshold } = explorer.state;
  const named = points.map((point) => ({ ...point, name: scene.names[point.image] }));
  download("points.json", new Blob([JSON.stringify({ points: named, threshold }, null, 1)], { type: "application/json" }));
  explorer.masks().forEach((mask, n) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [scene.width, scene.height];
    const context = canvas.getContext("2d"), image = context.createImageData(scene.width, scene.height);
    mask.forEach((value, p) => image.data.set([value, value, value, 255], 4 * p));
    context.putImageData(image, 0, 0);
    canvas.toBlob((blob) => download(scene.files[n], blob));
  });
}

const explorer = similarityExplorer(
  document.getElementById("explorer"), scene, (points) => explorer.update(points.length ? similarityTo(points) : null), { hover: true, save },
);
if (scene.points.length) explorer.update(similarityTo(scene.points));
