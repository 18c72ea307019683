// What is drawn over an image: chosen points, the place where a point was found, and the keyboard's cursor.
function outlined(context, lines, path) {
  for (const [colour, line] of lines) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.beginPath();
    path();
    context.stroke();
  }
}

// a ring with a plus for a similar point, a square with a minus for a dissimilar one
function drawPoint(context, x, y, similar, radius = 9) {
  outlined(context, [["black", 5], [similar ? "#00e5ff" : "#ffb000", 2.5]], () => {
    if (similar) context.arc(x, y, radius, 0, 2 * Math.PI);
    else context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    context.moveTo(x - 4, y); context.lineTo(x + 4, y);
    if (similar) { context.moveTo(x, y - 4); context.lineTo(x, y + 4); }
  });
}

// a diamond where the point was found; dashed where it is not in this image
function drawFound(context, x, y, found, radius = 13) {
  context.setLineDash(found ? [] : [4, 4]);
  outlined(context, [["black", 5], ["#ff4fd8", 2.5]], () => {
    for (const [dx, dy] of [[0, -1], [1, 0], [0, 1], [-1, 0]]) context.lineTo(x + radius * dx, y + radius * dy);
    context.closePath();
  });
  context.setLineDash([]);
}

function drawCursor(context, x, y) {
  for (const [colour, gap] of [["black", 5], ["white", 6]]) {
    outlined(context, [[colour, 2]], () => {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { context.moveTo(x + gap * dx, y + gap * dy); context.lineTo(x + 16 * dx, y + 16 * dy); }
    });
  }
}
