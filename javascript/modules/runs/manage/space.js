/** The disk space of the runs, and the deletion of training states that are no longer needed. */

import {dialog as openDialog} from "../../core/dialog.js";
import {api, fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, toast} from "../../core/parts.js";
import {runs} from "../watch.js";

/** @typedef {import("../records").RunSpace} RunSpace */
/** @typedef {import("../records").CacheSpace} CacheSpace */

export function openSpace() {
    const body = h("div", {}, h("p", {class: "tl-note"}, "Measuring …"));
    const remove = button("Delete training states", {kind: "danger", icon: "trash", id: "tl_delete_states", disabled: true});
    const dialog = openDialog("Disk space", [body], [button("Close", {click: () => dialog.close()}), remove]);
    /** @type {Set<string>} */
    const ticked = new Set();
    const sum = h("p", {class: "tl-note", role: "status"});
    /** @type {RunSpace[]} */
    let shown = [];

    function count() {
        const chosen = shown.filter((run) => ticked.has(run.id));
        const ended = chosen.filter((run) => run.ends_resume).map((run) => run.name);
        const bytes = chosen.reduce((all, run) => all + run.state_bytes, 0);
        setText(sum, chosen.length ? `Frees ${format.bytes(bytes)}.${ended.length ? " These can no longer be resumed or given " +
            `more epochs: ${ended.join(", ")}.` : ""} LoRA files, images and settings stay.` :
            "Tick the runs whose training state you no longer need.");
        remove.disabled = !chosen.length;
    }

    /** @param {RunSpace[]} found @param {CacheSpace[]} caches */
    function show(found, caches) {
        shown = found;
        ticked.clear();
        const whole = found.reduce((all, run) => all + run.bytes, 0);
        fill(body, h("p", {}, `${format.plural(found.length, "run")}, ${format.bytes(whole)} in all.`),
            h("ul", {class: "tl-trash tl-space"}, found.map(row)), sum, cacheList(caches));
        count();
    }

    /** @param {CacheSpace[]} caches */
    function cacheList(caches) {
        if (!caches.length) return null;
        const whole = caches.reduce((all, cache) => all + cache.bytes, 0);
        return [h("p", {}, `Cached latents in the image folders, ${format.bytes(whole)} in all. A run encodes its images again if ` +
            "you delete them."),
        h("ul", {class: "tl-trash tl-space"}, caches.map((cache) => h("li", {class: "tl-queue-row"},
            h("span", {class: "tl-run-row-name"}, cache.folder), h("span", {class: "tl-note"}), h("span", {}, format.bytes(cache.bytes)))))];
    }

    /** @param {RunSpace} run */
    function row(run) {
        const box = h("input", {type: "checkbox", disabled: !run.state_bytes || Boolean(run.kept),
            "aria-label": `Delete the training state of ${run.name}`, on: {change: () => {
                if (box.checked) ticked.add(run.id);
                else ticked.delete(run.id);
                count();
            }}});
        const parts = [["training state", run.state_bytes], ["images", run.image_bytes], ["diagnosis", run.diagnosis_bytes]];
        const about = parts.filter(([, bytes]) => bytes).map(([name, bytes]) => `${name} ${format.bytes(Number(bytes))}`);
        return h("li", {class: "tl-queue-row"}, box, h("span", {class: "tl-run-row-name"}, run.name),
            h("span", {class: "tl-note"}, [...about, run.kept].filter(Boolean).join(", ")),
            h("span", {}, format.bytes(run.bytes)));
    }

    remove.addEventListener("click", async () => {
        if (!confirm(`${sum.textContent} Delete for good? This cannot be undone.`)) return;
        const chosen = [...ticked];
        try {
            const {freed, runs: left, caches} = await api("space/delete-states", {body: {runs: chosen}});
            toast("good", `${format.bytes(freed)} freed.`);
            show(left, caches);
        } catch {
            // already reported by a toast
        }
        chosen.forEach(runs.again);
        runs.refresh();
    });
    api("space").then(({runs: found, caches}) => show(found, caches), () => dialog.close());
}
