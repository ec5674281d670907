/** The family of the chosen checkpoint, its defaults, and the settings that have no effect for it. */

import {api, emit, on} from "../core/dom.js";
import {host} from "../core/host.js";
import {form} from "./form.js";

/** @type {import("./answers").Family|null} */
let familyState = null;

/** @type {unknown} why it is not known, null if nothing failed */
let failure = null;

let asked = "";
let lastPath = "";

function chosen() {
    if (form.isChanged("base.checkpoint")) return form.text("base.checkpoint");
    return (host && host.checkpoint && host.checkpoint.path) || "";
}

async function detect() {
    const path = chosen();
    if (lastPath && path !== lastPath) form.reset("base.sdxl_base"); // chosen for another checkpoint
    lastPath = path;
    const base = form.text("base.sdxl_base");
    const query = path ? `path=${encodeURIComponent(path)}&base=${encodeURIComponent(base)}` : "";
    if (query === asked) return;
    asked = query;
    const answer = path ? await api(`family?${query}`, {quiet: true}).catch((failure) => ({failure})) : null;
    if (query !== asked) return; // another one was chosen meanwhile
    const failed = answer !== null && "failure" in answer;
    if (failed) asked = ""; // the next change asks again
    failure = failed ? answer.failure : null;
    const found = failed ? null : answer;
    const before = familyState;
    familyState = found;
    emit("family", found);
    const keys = [before, found].flatMap((family) => Object.keys((family && family.defaults) || {}));
    if (keys.length) emit("setting", {keys: [...new Set(keys)]});
}

/** @returns {Record<string, unknown>} the dataset settings of form and family, without the folder */
export function datasetSettings() {
    const settings = {...familyDefaults("dataset"), ...form.job().dataset};
    delete settings.train_data_dir;
    return settings;
}

/** @param {string} group @returns {Record<string, import("./values").Value>} the checkpoint's own defaults for the settings of a group */
export function familyDefaults(group) {
    const all = Object.entries((familyState && familyState.defaults) || {});
    const own = all.filter(([key]) => key.startsWith(`${group}.`));
    return Object.fromEntries(own.map(([key, value]) => [key.slice(group.length + 1), value]));
}

/** @returns {string} the checkpoint's family and base as query parameters */
export function familyQuery() {
    const {name = "", base = ""} = familyState || {};
    return `&family=${encodeURIComponent(name)}&base=${encodeURIComponent(base)}`;
}

on("host", detect);
on("setting", ({keys}) => {
    if (keys.includes("base.checkpoint") && keys.includes("base.sdxl_base")) lastPath = ""; // both come from one job
    if (keys.includes("base.checkpoint") || keys.includes("base.sdxl_base")) detect();
});

export {familyState as family, failure as familyFailure, detect as askFamily};
