/** A queued run's settings in the form, to be saved back into the run. */

import {api, emit, on, store} from "../../core/dom.js";
import {toast} from "../../core/parts.js";
import {showTab} from "../../core/shell.js";
import {readTxt2img} from "../../core/txt2img_form.js";
import {form} from "../../train/form.js";

/** @typedef {import("../../core/types").RunSummary} RunSummary */
/** @typedef {{id: string, name: string, before: Record<string, import("../../train/values").Value>}} Edited */

/** @type {Edited|null} the queued run in the form, and the form's values before it */
let edited = store.get("edited", null);

/** @returns {Edited|null} */
export const editedRun = () => edited;

/** @param {Edited|null} run */
function setEdited(run) {
    edited = run;
    store.set("edited", run || undefined);
    emit("editing", run ? run.id : "");
}

/** @param {import("../../train/job").Job} job of a run @param {string[]} [but] keys that stay as they are in the form */
export function takeJob(job, but = []) {
    form.take(job, but);
    if (!job.base?.vae && !but.includes("base.vae")) form.set("base.vae", "");  // empty means the webui's in a run's file
}

/** @param {RunSummary} run */
export async function editQueued(run) {
    const answer = await api(`runs/${encodeURIComponent(run.id)}`).catch(() => null);
    if (!answer) return;  // already reported by a toast
    if (!answer.job || !answer.job.base) {
        toast("error", `The settings of ${run.name} cannot be read, so they cannot be changed. Remove it from the queue and start it again.`);
        return;
    }
    const before = edited ? edited.before : form.snapshot();
    takeJob(answer.job);
    setEdited({id: run.id, name: run.name, before});
    showTab("train");
}

/** Back to the form as it was before. */
export function cancelEdit() {
    if (!edited) return;
    const {before} = edited;
    setEdited(null);
    form.restore(before);
    emit("reload");
}

/** @returns {Promise<boolean>} whether the settings were saved; if not, a message says why */
export async function saveEdit() {
    if (!edited) return false;
    const {id, name} = edited;
    try {
        const txt2img = form.get("sample.sample_by") === "worker" ? null : await readTxt2img();
        await api(`runs/${encodeURIComponent(id)}/queue/settings`, {body: {job: form.job(), txt2img}});
    } catch {
        return false;  // already reported by a toast
    }
    toast("good", `The new settings of ${name} are saved. It keeps its place in the queue.`);
    cancelEdit();
    return true;
}

on("runs", (runs) => {
    if (!edited || runs.some((run) => edited && run.id === edited.id && run.state === "waiting" && run.place !== null)) return;
    toast("warning", `${edited.name} is not in the queue any more, so its settings can no longer be changed. Your changes ` +
        "are still in the form.");
    setEdited(null);
});
