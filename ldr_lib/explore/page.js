// The page holds the embeddings, so that the browser answers without a kernel.
function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function save(explorer, scene) {
  if (!explorer.state.points.length) return explorer.say("There is nothing to save yet: choose a pixel first.");
  const { points, threshold, step } = explorer.state;
  const named = points.map((point) => ({ ...point, name: scene.names[point.image] }));
  download("points.json", new Blob([JSON.stringify({ points: named, threshold, step: scene.steps[step] }, null, 1)], { type: "application/json" }));
  explorer.masks().forEach((mask, n) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [scene.width, scene.height];
    const context = canvas.getContext("2d"), image = context.createImageData(scene.width, scene.height);
    mask.forEach((value, p) => image.data.set([value, value, value, 255], 4 * p));
    context.putImageData(image, 0, 0);
    canvas.toBlob((blob) => download(scene.files[n], blob));
  });
}

// One network after the other: what it makes of the pixels, its clusters, and the search for a point.
async function unpackedSteps(scene) {
  return Promise.all(scene.embeddings.map(async (packed, n) => {
    const embeddings = await unpackedEmbeddings(packed, scene);
    const clusters = scene.clusters.length ? wholeNumbers(await inflated(scene.clusters[n]), scene.inside.length) : null;
    return { similarityTo: embeddings.similarityTo, clusters, find: pointFinder(embeddings, scene) };
  }));
}

async function openPage(root, scene) {
  scene.inside = await inflated(scene.inside);
  const networks = await unpackedSteps(scene);
  let network = networks[0];
  const answer = (points) => {
    explorer.update(points.length ? network.similarityTo(points) : null);
    if (explorer.state.finding && !explorer.state.hover) explorer.showFound(true, network.find(explorer.state.points));
  };
  const explorer = similarityExplorer(root, { ...scene, clusters: network.clusters }, answer, {
    hover: true,
    save: (shown) => save(shown, scene),
    onfinding: (finding) => explorer.showFound(finding, finding ? network.find(explorer.state.points) : []),
    onstep: (step) => {
      network = networks[step];
      explorer.showStep(step, network.clusters);
      answer(explorer.state.points);
    },
  });
  if (scene.points.length) answer(scene.points);
}

if ("DecompressionStream" in window) openPage(document.getElementById("explorer"), JSON.parse(document.getElementById("scene").textContent));
else document.getElementById("explorer").textContent = "This browser is too old for the explorer: open the page in one of 2023 or later.";
