// Says which posts this browser has texts of that the server never got.

import * as keep from "./editor-keep.js";

const place = document.getElementById("Unsent");

function show({ post, texts }) {
  const link = document.createElement("a");
  link.href = `/admin/posts/${post}?new`;
  link.textContent = texts.title || "a post without a title";
  const line = document.createElement("p");
  line.className = "told";
  line.append("This browser has a text that the server never got: ", link);
  place.append(line);
  place.hidden = false;
}

keep.leftBehind(() => true, show).catch(() => {});
