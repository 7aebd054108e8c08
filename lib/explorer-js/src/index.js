// One core, two hosts: `boot()` mounts every explorer of a static page on its table, `live(model, el)`
// mounts one on a Jupyter kernel. Everything fixed comes as HTML from Python; this fills in the rest.

export { memory } from "./compute.js";
export { live } from "./live.js";
export { mount } from "./mount.js";
export { boot, deliver } from "./page.js";
