/** What the window "Publish" says, and which values its fields start with; free of the browser. */

/** @typedef {import("../records").PublishPlan} PublishPlan */
/** @typedef {import("../records").PublishedFolder} PublishedFolder */

/** @type {[string, string, string][]} name, label and placeholder of each text */
export const TEXTS = [["title", "Title", ""], ["trigger", "Trigger word", "empty: none is needed"], ["author", "Author", "as others should know you"],
    ["base_model", "Base model on the hub", "owner/name, or empty"]];
export const LONG_TEXTS = [["description", "Description", "What it shows, and what it is good at"],
    ["credits", "Further credits", "One per line: artists, datasets, helpers"]];

/** @param {PublishPlan} plan @returns {Record<string, string>} what each field starts with */
export function startValues({story, remembered, description}) {
    return {title: story.title, trigger: story.trigger, author: story.author || remembered.author, base_model: "",
        description, credits: "", license: remembered.license, license_text: remembered.license_text,
        license_link: remembered.license_link};
}

/** @param {string[]} ids of images, best first @returns {{cover: string, images: string[]}} what is chosen at first */
export function startImages(ids) {
    return {cover: ids[0] || "", images: ids.filter((id) => id !== "strip" && id !== "preview" && !id.startsWith("plots/") &&
        !id.startsWith("grids/")).slice(0, 6)};
}

/** @param {string} before @param {string} name whether a change is ticked at first: never over a text of the user's */
export const isTicked = (name, before) => before === "" || (name === "sd_version" && before === "Unknown");

/** @param {PublishedFolder} made @returns {{level: string, text: string}[]} */
export function folderWords(made) {
    const size = made.linked ? " The LoRA is a hard link, which takes no space." : "";
    return [{level: "good", text: `The folder is written: ${made.folder}. It holds ${made.files.join(", ")}.${size}`},
        ...leftOutWords(made.left_out)];
}

/** @param {string[]} sentences @returns {{level: string, text: string}[]} what is left out of the folder, and what of the user's stays */
export function leftOutWords(sentences) {
    const stays = sentences.filter((text) => text.startsWith("Not left out"));
    const out = sentences.filter((text) => !stays.includes(text));
    return sentences.length ? [...stays.map((text) => ({level: "warning", text})), ...out.map((text) => ({level: "info",
        text: `Left out: ${text}`}))] : [{level: "info", text: "Nothing private was found in the file."}];
}
