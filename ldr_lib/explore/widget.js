const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export default {
  render({ model, el }) {
    const scene = model.get("scene");
    if (!scene.names) {
      el.classList.add("ldr-explorer");
      const words = document.createElement("p");
      words.className = "ldr-message";
      words.setAttribute("role", "status");
      words.textContent = model.get("message");
      el.replaceChildren(words);
      return;
    }
    const pictures = scene.pictures.map((png) => URL.createObjectURL(new Blob([png], { type: "image/png" })));
    const ask = (points) => { model.set("points", points); model.save_changes(); };
    const explorer = similarityExplorer(
      el,
      {
        ...scene, pictures, inside: bytesOf(scene.inside), clusters: scene.clusters && bytesOf(scene.clusters),
        points: model.get("points"), threshold: model.get("threshold"), message: model.get("message"),
      },
      ask,
      {
        save: () => model.send("save"),
        onthreshold: (value) => { model.set("threshold", value); model.save_changes(); },
      },
    );
    const answered = () => explorer.update(bytesOf(model.get("similarity")), model.get("points"));
    const said = () => explorer.say(model.get("message"));
    model.on("change:similarity", answered);
    model.on("change:message", said);
    answered();
    return () => {
      model.off("change:similarity", answered);
      model.off("change:message", said);
      pictures.forEach(URL.revokeObjectURL);
    };
  },
};
