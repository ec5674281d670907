/** The dialog of an import: sends the files, shows what would be added and what not, and adds it. */

import {dialog as openDialog} from "../../core/dialog.js";
import {api, failureOf, fill, h, later, mayWorkLater, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, fold, setLabel, tryAgain} from "../../core/parts.js";
import {usable} from "./files.js";
import {Upload} from "./upload.js";
import {defaultFolder, planWords, uploadWords} from "./words.js";

/** @typedef {import("./files.js").Found} Found */
/** @typedef {import("./files.js").Left} Left */
/** @typedef {import("../answers").IntakePlan} IntakePlan */

/** @param {import("../set.js").CaptionSet} set @param {Found} found @param {(numbers: number[]) => void} added */
export function importFiles(set, found, added) {
    return new IntakeDialog(set, usable(found, set.about ? set.about.endings : []), added);
}

/**
 * Send files to the server.
 * @param {import("../set.js").CaptionSet} set @param {import("./files.js").Incoming[]} files
 * @param {(upload: Upload) => void} began
 * @returns {Promise<string|null>} the id of the import, null if it was cancelled
 */
export async function sendFiles(set, files, began = () => {}) {
    const sizeBytes = files.reduce((sum, {file}) => sum + file.size, 0);
    const {intake, piece_bytes: pieceBytes} = await set.ask("intake/begin", {files: files.length, size_bytes: sizeBytes}, {quiet: true});
    const upload = new Upload(files, {pieceBytes, lost: (error) => failureOf(error).status === 0,
        send: async ({number, path, start, total}, content, signal) => {
            const query = new URLSearchParams({intake, number: String(number), path, start: String(start), total: String(total)});
            return (await api(`captions/intake/piece?${query}`, {body: content, quiet: true, signal})).refused;
        }});
    began(upload);
    try {
        if (await upload.run()) return intake;
    } catch (error) {
        set.ask("intake/cancel", {intake}, {quiet: true}).catch(() => {});
        throw error;
    }
    await set.ask("intake/cancel", {intake}, {quiet: true}).catch(() => {});
    return null;
}

class IntakeDialog {
    /** @param {import("../set.js").CaptionSet} set @param {Found} found @param {(numbers: number[]) => void} added */
    constructor(set, found, added) {
        this.set = set;
        this.found = found;
        this.added = added;
        this.intake = "";
        this.question = 0;
        this.finished = false;
        /** @type {Upload|null} */
        this.upload = null;
        this.words = h("p", {role: "status", id: "tl_intake_words"}, "");
        this.fillBar = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Sending the files", "aria-valuemin": "0",
            "aria-valuemax": "100"}, this.fillBar);
        this.problem = h("div", {class: "tl-field-problem", role: "alert"}, "");
        const changed = later(() => this.look(), 150);
        this.folder = h("input", {type: "text", class: "tl-input", id: "tl_intake_folder", spellcheck: "false", autocomplete: "off",
            list: "tl_caption_folders", placeholder: "the top folder", on: {input: changed}});
        this.keep = h("input", {type: "checkbox", id: "tl_intake_keep", on: {change: () => this.keepChanged()}});
        this.twice = h("input", {type: "checkbox", id: "tl_intake_twice", on: {change: changed}});
        this.twiceWords = h("span", {}, "");
        this.twiceLine = h("label", {class: "tl-tick", hidden: true}, this.twice, this.twiceWords);
        this.keepLine = h("label", {class: "tl-tick"}, this.keep, "Keep the folders that the images are in");
        this.choices = h("div", {class: "tl-intake-choices", hidden: true}, h("div", {class: "tl-field"},
            h("label", {class: "tl-label", for: "tl_intake_folder"}, "Into this folder of the set"), this.folder), this.keepLine, this.twiceLine);
        this.lists = h("div", {});
        this.go = button("Add", {kind: "primary", id: "tl_intake_go", disabled: true, click: () => this.add()});
        this.window = openDialog("Add images", [this.words, this.bar, this.choices, this.problem, this.lists],
            [button("Cancel", {id: "tl_intake_cancel", click: () => this.window.close()}), this.go]);
        this.window.id = "tl_intake";
        this.window.addEventListener("close", () => this.end());
        this.send();
    }

    async send() {
        if (!this.found.files.length) {
            this.bar.hidden = true;
            setText(this.words, "These files contain no images and no captions.");
            this.list(this.found.left, this.found.left.length, []);
            return;
        }
        setText(this.words, `${format.plural(this.found.files.length, "file")} to send`);
        try {
            const intake = await sendFiles(this.set, this.found.files, (upload) => {
                this.upload = upload;
                upload.options.changed = () => this.progress(upload);
                if (this.finished) upload.cancel();
            });
            if (intake === null) return;
            this.intake = intake;
            if (this.finished) this.end();
            else await this.begin();
        } catch (error) {
            this.fail(error);
        }
        this.bar.hidden = true;
    }

    /** @param {Upload} upload */
    progress(upload) {
        const share = upload.bytes ? 100 * upload.sentBytes / upload.bytes : 100 * upload.sentFiles / upload.files.length;
        this.fillBar.style.width = `${share.toFixed(1)}%`;
        this.bar.setAttribute("aria-valuenow", String(Math.round(share)));
        setText(this.words, uploadWords(upload));
    }

    /** Show what arrived, with the folders that it suggests. */
    async begin() {
        let plan;
        try {
            plan = await this.set.ask("intake/plan", {intake: this.intake, keep_folders: true}, {quiet: true});
        } catch (error) {
            this.fail(error, () => this.begin());
            return;
        }
        setText(this.problem, "");
        const cell = this.set.current === null ? null : this.set.cells.get(this.set.current);
        this.best = defaultFolder(this.set.about ? this.set.about.folders : [], cell ? cell.folder : null);
        this.keep.checked = plan.concept_folders;
        this.keepLine.hidden = !this.found.files.some(({path}) => path.includes("/") || path.toLowerCase().endsWith(".zip"));
        this.choices.hidden = false;
        this.keepChanged();
    }

    keepChanged() {
        this.folder.value = this.keep.checked ? "" : this.best || "";
        this.look();
    }

    request() {
        return {intake: this.intake, target: this.folder.value.trim(), keep_folders: this.keep.checked, duplicates: this.twice.checked};
    }

    async look() {
        const mine = this.question += 1;
        this.go.disabled = true;
        try {
            const plan = await this.set.ask("intake/plan", this.request(), {quiet: true});
            if (mine === this.question) this.draw(plan);
        } catch (error) {
            if (mine === this.question) this.fail(error, () => this.look());
        }
    }

    /** @param {IntakePlan} plan */
    draw(plan) {
        const words = planWords(plan);
        const nothing = words === "nothing";
        setText(this.problem, "");
        setText(this.words, nothing ? "There is nothing to add." : `${words[0].toUpperCase()}${words.slice(1)} to add.`);
        this.twiceLine.hidden = !plan.same_total && !this.twice.checked;
        if (plan.same_total) {
            setText(this.twiceWords, `Add ${plan.same_total === 1 ? "the image" : `the ${format.number(plan.same_total)} images`} ` +
                "that the set has already");
        }
        this.list([...this.found.left, ...plan.left.map(([path, reason]) => ({path, reason}))], this.found.left.length + plan.left_total, plan.same,
            plan.same_total);
        setLabel(this.go, nothing ? "Add" : `Add ${words}`);
        this.go.disabled = nothing;
    }

    /** @param {Left[]} left @param {number} leftTotal @param {[string, string][]} same @param {number} [sameTotal] */
    list(left, leftTotal, same, sameTotal = 0) {
        fill(this.lists, same.length ? named(`${format.plural(sameTotal, "image")} already in the set`, sameTotal,
            same.map(([path, other]) => `${path}: same as ${other}`)) : null,
        left.length ? named(`${format.plural(leftTotal, "file")} not added`, leftTotal, left.map(({path, reason}) => `${path}: ${reason}`)) : null);
    }

    /** @param {unknown} error @param {() => unknown} [again] */
    fail(error, again) {
        const failure = failureOf(error);
        if (failure.name === "AbortError") return;
        fill(this.problem, again && mayWorkLater(failure) ? tryAgain([failure.message], again) : failure.message);
    }

    async add() {
        this.go.disabled = true;
        const {intake} = this;
        this.intake = "";
        const outcome = await this.set.edit("intake/add", {...this.request(), intake});
        if (outcome) {
            this.window.close();
            if (outcome.added && outcome.added.length) this.added(outcome.added);
            return;
        }
        this.intake = intake;
        this.look();
    }

    /** Cancel what is not added. */
    end() {
        this.finished = true;
        this.upload?.cancel();
        if (this.intake) this.set.ask("intake/cancel", {intake: this.intake}, {quiet: true}).catch(() => {});
        this.intake = "";
    }
}

/** @param {string} title @param {number} total @param {string[]} lines */
function named(title, total, lines) {
    const shown = lines.slice(0, 200);
    return fold(title, h("ul", {class: "tl-paths"}, shown.map((line) => h("li", {}, line)),
        total > shown.length ? h("li", {}, `and ${format.number(total - shown.length)} more`) : null));
}
