/** Actions on a run in the list: reuse its settings, edit name, star and note, open its folder, delete it. */

import {dialog as openDialog} from "../core/dialog.js";
import {api, fill, h, setText, uniqueId} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, toast} from "../core/parts.js";
import {showTab} from "../core/shell.js";
import {askForVariants} from "./compare/variants.js";
import {takeJob} from "./queue/edit.js";
import {runs} from "./watch.js";

/** @typedef {import("./model.js").RunModel} RunModel */

/** Folders open on the webui's machine; the server checks this too. */
export const ON_THIS_MACHINE = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

export class RunActions {
    /** @param {() => RunModel|null} current the run's model, null for none */
    constructor(current) {
        this.current = current;
        const act = (/** @type {(run: RunModel) => unknown} */ what) => () => {
            const run = this.current();
            if (run) what(run);
        };
        this.use = button("Use these settings", {small: true, icon: "reset", click: act(useSettings)});
        this.vary = button("Vary a setting", {small: true, icon: "plus", title: "Train the same job with other values of one " +
            "setting, or on another base", click: act((run) => askForVariants(run))});
        this.star = button("Star", {small: true, icon: "star", click: act((run) =>
            runs.note(run.id, {starred: !run.summary.starred}).catch(() => {}))});
        this.star.classList.add("tl-star");
        this.remove = button("Delete", {small: true, icon: "trash", click: act(askToDelete)});
        this.note = h("p", {class: "tl-run-note", hidden: true});
        this.problem = h("p", {class: "tl-field-problem", hidden: true});
        this.row = h("div", {class: "tl-row tl-wrap tl-run-actions"}, this.use, this.vary, this.star,
            button("Name and note", {small: true, icon: "pen", click: act(askForNote)}),
            ON_THIS_MACHINE ? button("Open folder", {small: true, icon: "folder",
                click: act((run) => openFolder(run.id, "run"))}) : null, this.remove);
        this.element = h("div", {class: "tl-run-manage"}, this.row, this.note, this.problem);
    }

    show() {
        const run = this.current();
        if (!run) return;
        const {starred, note = "", note_problem: problem = ""} = run.summary;
        this.use.hidden = this.vary.hidden = !run.job || !run.job.base;
        this.star.setAttribute("aria-pressed", String(Boolean(starred)));
        this.remove.disabled = run.open;
        this.remove.title = run.open ? "Stop it or remove it from the queue first" : "Moves it to the trash";
        setText(this.note, note);
        this.note.hidden = !note;
        setText(this.problem, problem);
        this.problem.hidden = !problem;
    }
}

/** @param {string} id @param {"run"|"files"} what */
export function openFolder(id, what) {
    api(`runs/${encodeURIComponent(id)}/open`, {body: {what}}).catch(() => {});
}

/** Fills the form with the settings of a run. @param {RunModel} run */
function useSettings(run) {
    if (!run.job) return;
    takeJob(run.job, ["save.output_dir", "training.device"]);
    showTab("train");
    toast("good", `The settings of ${run.summary.name} are in the form.`);
}

/** @param {RunModel} run */
function askForNote(run) {
    const [nameId, noteId] = [uniqueId("name"), uniqueId("note")];
    const name = h("input", {type: "text", class: "tl-input", id: nameId, maxlength: 100, value: run.summary.name,
        autocomplete: "off"});
    const note = h("textarea", {class: "tl-input tl-textarea", id: noteId, rows: 4, maxlength: 5000,
        value: run.summary.note || ""});
    const dialog = openDialog("Name and note", [
        h("div", {class: "tl-field"}, h("label", {class: "tl-label", for: nameId}, "Name in the list"), name,
            h("p", {class: "tl-note"}, "The LoRA files keep their names. Leave it empty to restore the original " +
                "name.")),
        h("div", {class: "tl-field"}, h("label", {class: "tl-label", for: noteId}, "Note"), note)],
    [button("Cancel", {click: () => dialog.close()}), button("Save", {kind: "primary", click: () => {
        dialog.close();
        runs.note(run.id, {name: name.value, note: note.value}).catch(() => {});
    }})]);
    dialog.classList.add("tl-small-dialog");
    name.select();
}

/** @param {RunModel} run of training or of a tool */
export async function askToDelete(run) {
    const deletion = await api(`runs/${encodeURIComponent(run.id)}/deletion`).catch(() => null);
    if (!deletion) return;
    if (deletion.refused) {
        toast("warning", deletion.refused);
        return;
    }
    const count = deletion.files.length;
    const whole = deletion.files.reduce((sum, file) => sum + file.bytes, 0);
    const id = uniqueId("files");
    const box = h("input", {type: "checkbox", id, on: {change: () => list.classList.toggle("tl-dim", !box.checked)}});
    const list = h("ul", {class: "tl-paths tl-dim"}, deletion.files.map((file) =>
        h("li", {}, `${file.name}, ${format.bytes(file.bytes)}`)));
    const {command = "train"} = run.summary;
    const [file, folder] = command === "merge" ? ["checkpoint", "folders"] : ["LoRA file", "LoRA folder"];
    const state = deletion.has_training_state ? ", and the training state from which it could be resumed" : "";
    const dialog = openDialog(`Delete ${run.summary.name}?`, [
        h("p", {}, `This moves the run to the trash: settings, ${command === "train" ? `curves, samples, plots, log${state}` :
            "results, images, log"} (${format.bytes(deletion.bytes)}). It can be restored from there.`),
        count ? [h("div", {class: "tl-row"}, box, h("label", {for: id},
            `Delete its ${format.plural(count, file)} too (${format.bytes(whole)})`)), list] : null,
        deletion.elsewhere.length ? h("p", {class: "tl-note"}, `${format.plural(deletion.elsewhere.length, "file")} outside ` +
            `the webui's ${folder} stay: ${deletion.elsewhere.join(", ")}`) : null],
    [button("Cancel", {click: () => dialog.close()}), button("Delete", {kind: "danger", icon: "trash", click: () => {
        dialog.close();
        runs.remove(run.id, box.checked).then(() => toast("good", `${run.summary.name} is in the trash.`), () => {});
    }})]);
}

/** @param {RunModel} run @param {import("../core/types").SavedEvent} kept */
export async function askToKeepOnly(run, kept) {
    const deletion = await api(`runs/${encodeURIComponent(run.id)}/deletion`).catch(() => null);
    if (!deletion) return;
    if (deletion.refused) {
        toast("warning", deletion.refused);
        return;
    }
    const others = deletion.files.filter((file) => file.path !== kept.path);
    const bytes = format.bytes(others.reduce((sum, file) => sum + file.bytes, 0));
    const words = others.length ? `Delete ${format.plural(others.length, "file")}` : "";
    const dialog = openDialog(`Keep ${kept.name}, delete the rest?`, [
        h("p", {}, others.length ? `This moves ${format.plural(others.length, "LoRA file")} (${bytes}) and the files ` +
            "beside them to the trash, where they can be restored. The run itself stays." : "It is already the only one."),
        h("ul", {class: "tl-paths"}, others.map((file) => h("li", {}, `${file.name}, ${format.bytes(file.bytes)}`)))],
    [button("Cancel", {click: () => dialog.close()}), words ? button(words, {kind: "danger", icon: "trash", click: () => {
        dialog.close();
        runs.keepOnly(run.id, kept.path).then(() => toast("good", `${kept.name} is kept, the rest is in the trash.`),
            () => {});
    }}) : null]);
}

/** The deleted runs and files, to restore or delete permanently. */
export async function openTrash() {
    const answer = await api("trash").catch(() => null);
    if (!answer) return;
    const body = h("div", {});
    const dialog = openDialog("Trash", [body], [button("Close", {click: () => dialog.close()})]);
    /** @param {import("./records").TrashEntry[]} entries */
    const show = (entries) => fill(body, entries.length ? h("ul", {class: "tl-trash"}, entries.map((entry) =>
        trashRow(entry, show))) : h("p", {}, "The trash is empty."));
    show(answer.entries);
}

/** @param {import("./records").TrashEntry} entry @param {(entries: import("./records").TrashEntry[]) => void} show */
function trashRow(entry, show) {
    const saved = entry.files.filter((file) => file.origin.endsWith(".safetensors")).length;
    const parts = [entry.whole_run ? "the run" : "", saved ? format.plural(saved, "saved file") : ""].filter(Boolean);
    const restore = async () => {
        try {
            await api("trash/restore", {body: {id: entry.id}});
            toast("good", `${entry.name}: ${parts.join(" and ")} restored.`);
            runs.again(entry.run);
            runs.refresh();
            show((await api("trash")).entries);
        } catch {
            // already reported by a toast
        }
    };
    const forget = async () => {
        if (!confirm(`Delete ${parts.join(" and ")} of ${entry.name} for good? This cannot be undone.`)) return;
        await api("trash/delete", {body: {id: entry.id}}).then((answer) => show(answer.entries), () => {});
    };
    return h("li", {class: "tl-queue-row"}, h("span", {class: "tl-run-row-name"}, entry.name), h("span", {class: "tl-note"},
        entry.problem || `${parts.join(" and ")}, deleted ${format.when(entry.time)}`),
    entry.problem ? null : button("Restore", {small: true, click: restore}),
    button("Delete for good", {small: true, kind: "quiet", icon: "trash", click: forget}));
}
