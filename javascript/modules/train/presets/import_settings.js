/** Imports settings of other programs, pasted or from files, with a report, into the form. */

import {dialog} from "../../core/dialog.js";
import {api, failureOf, fill, h, setText} from "../../core/dom.js";
import {button} from "../../core/parts.js";
import {form} from "../form.js";
import {importReport} from "./import_report.js";

/** @typedef {import("../answers").ImportReport} ImportReport */

const MOST_BYTES = 4_000_000;
const MOST_OF_VALUE = 500_000;
const MOST_HEADER_BYTES = 20_000_000;
/** Settings of the dataset or this machine, kept if the source does not set them. */
const KEPT = ["base.checkpoint", "base.vae", "base.sdxl_base", "dataset.train_data_dir", "dataset.reg_data_dir",
    "dataset.validation_data_dir", "dataset.conditioning_data_dir", "dataset.activation_tag",
    "dataset.concept_settings", "dataset.only_folders", "save.output_name", "save.output_dir", "training.fit_in_gb",
    "training.webui_model", "training.device", "sample.sample_by"];

/**
 * @param {(source: string, before: Record<string, import("../values").Value>) => void} used called when the form was
 * filled, with its previous values
 * @param {string} [lora] of the webui, whose settings are read immediately
 */
export function openImport(used, lora = "") {
    const body = h("div", {class: "tl-import"});
    const foot = h("div", {class: "tl-row"});
    const window = dialog("Import settings", [body], [foot]);
    window.id = "tl_import";
    window.addEventListener("dragover", (event) => event.preventDefault());
    window.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer) readFiles([...event.dataTransfer.files]);
    });
    const text = h("textarea", {class: "tl-input tl-textarea", rows: "12", spellcheck: "false", id: "tl_import_text",
        "aria-label": "Settings as text", placeholder: "Paste a script, a command line, TOML, JSON or YAML here"});
    /** @type {{name: string, box: HTMLTextAreaElement}[]} the texts that belong together, `text` first */
    let parts = [{name: "Text 1", box: text}];
    const chosen = h("input", {type: "file", hidden: true, multiple: true, id: "tl_import_file", on: {change: () =>
        readFiles([...chosen.files || []])}});
    const problem = h("p", {class: "tl-field-problem", role: "alert", id: "tl_import_problem"});
    const read = button("Read", {kind: "primary", id: "tl_import_read", click: () => ask(given())});

    function showInput() {
        fill(body, h("p", {}, "From kohya_ss, sd-scripts, OneTrainer, LoRA_Easy_Training_Scripts, or a LoRA file. Paste " +
            "the text, or drop the file here; files that belong together, such as a configuration and its dataset " +
            "configuration, all at once. Nothing in a script is run."), parts.map(({name, box}) => parts.length > 1 ?
            h("label", {class: "tl-field"}, h("span", {class: "tl-label"}, name), box) : box), chosen, problem);
        fill(foot, button("Add another text", {icon: "plus", id: "tl_import_more", click: () => {
            add(`Text ${parts.length + 1}`, "");
            showInput();
            parts[parts.length - 1].box.focus();
        }}), button("Choose files", {icon: "file", click: () => chosen.click()}), read);
        text.focus();
    }

    /** @param {string} name @param {string} content */
    function add(name, content) {
        const box = h("textarea", {class: "tl-input tl-textarea", rows: "6", spellcheck: "false", "aria-label": name});
        box.value = content;
        parts.push({name, box});
    }

    /** @returns {{text: string}|{files: Record<string, string>}} */
    function given() {
        const filled = parts.filter(({box}) => box.value.trim());
        return filled.length > 1 ? {files: Object.fromEntries(filled.map(({name, box}) => [name, box.value]))} :
            {text: filled.length ? filled[0].box.value : ""};
    }

    /** @param {File[]} files */
    async function readFiles(files) {
        if (!files.length) return;
        try {
            if (files.length === 1 && /\.safetensors$/i.test(files[0].name)) {
                showInput();
                await ask({metadata: await metadataOf(files[0])});
            } else {
                const texts = await Promise.all(files.map((file) => textOf(file)));
                text.value = texts[0];
                parts = [{name: files[0].name, box: text}];
                files.slice(1).forEach((file, index) => add(file.name, texts[index + 1]));
                showInput();
                await ask(given());
            }
            chosen.value = "";
        } catch (error) {
            chosen.value = "";
            setText(problem, failureOf(error).message);
        }
    }

    /** @param {{text: string}|{files: Record<string, string>}|{metadata: Record<string, string>}|{lora: string}} wanted */
    async function ask(wanted) {
        setText(problem, "");
        read.disabled = true;
        try {
            showReport(await api("import", {body: wanted, quiet: true}));
        } catch (error) {
            setText(problem, failureOf(error).message);
        }
        read.disabled = false;
    }

    /** @param {ImportReport} report */
    function showReport(report) {
        fill(body, importReport(report));
        fill(foot, button("Back", {click: showInput}), button("Use these settings", {kind: "primary",
            id: "tl_import_use", click: () => {
                const before = form.snapshot();
                use(report);
                window.close();
                used(report.source, before);
            }}));
        body.scrollTop = 0;
    }

    showInput();
    if (lora) ask({lora});
}

/** A whole job starts from the defaults; a preset is applied to the current values. @param {ImportReport} report */
function use(report) {
    if (!report.partial) {
        form.restore(Object.fromEntries(Object.entries(form.snapshot()).filter(([key]) => KEPT.includes(key))));
    }
    form.take(report.values);
}

/** @param {File} file @returns {Promise<string>} UTF-8, or UTF-16 as Windows saves it */
async function textOf(file) {
    if (file.size > MOST_BYTES) throw new Error(`${file.name} is too large to hold settings.`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const wide = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "";
    const text = new TextDecoder(wide || "utf-8").decode(bytes);
    if (text.includes("\0")) throw new Error(`${file.name} is not a text file.`);
    return text;
}

/** @param {File} file a LoRA @returns {Promise<Record<string, string>>} the metadata in its header */
async function metadataOf(file) {
    const damaged = new Error(`${file.name} is damaged or not a .safetensors file.`);
    const start = new DataView(await file.slice(0, 8).arrayBuffer());
    if (start.byteLength < 8) throw damaged;
    const length = Number(start.getBigUint64(0, true));
    if (length > MOST_HEADER_BYTES || length > file.size) throw damaged;
    /** @type {Record<string, unknown>} */
    let header;
    try {
        header = JSON.parse(await file.slice(8, 8 + length).text());
    } catch {
        throw damaged;
    }
    const metadata = Object.entries(header.__metadata__ || {});
    return Object.fromEntries(metadata.filter(([key, value]) => typeof value === "string" &&
        value.length < MOST_OF_VALUE && key !== "modelspec.thumbnail"));
}
