/** The files of a drop, a paste or a file picker, with their paths in the dropped folders. */

/** @typedef {{path: string, file: File}} Incoming */
/** @typedef {{path: string, reason: string}} Left a file that is not added, and why */
/** @typedef {{files: Incoming[], left: Left[]}} Found */

/** Folders are read until there are more files than this; the server refuses fewer. */
export const MOST_FILES = 50000;

/**
 * Take what was dropped from the event, which is empty once its listener has returned.
 * @param {DataTransfer} transfer
 * @returns {(FileSystemEntry|File)[]}
 */
export function dropped(transfer) {
    const items = [...transfer.items].filter((item) => item.kind === "file");
    const entries = items.map((item) => item.webkitGetAsEntry?.() || item.getAsFile()).filter((one) => one !== null);
    return entries.length ? entries : [...transfer.files];
}

/** @param {readonly (FileSystemEntry|File)[]} entries @returns {Promise<Found>} their files, those in folders too */
export async function filesIn(entries) {
    const count = {files: 0};
    return joined(await Promise.all(entries.map((entry) => entry instanceof File
        ? {files: [{path: entry.webkitRelativePath || entry.name, file: entry}], left: []} : walk(entry, count))));
}

/** @param {readonly Found[]} parts @returns {Found} */
function joined(parts) {
    return {files: parts.flatMap(({files}) => files), left: parts.flatMap(({left}) => left)};
}

/**
 * @param {FileSystemEntry} entry @param {{files: number}} count of the files so far
 * @returns {Promise<Found>} in the order that the browser lists them
 */
async function walk(entry, count) {
    const path = entry.fullPath.replace(/^\/+/, "");
    /** @type {Found[]} */
    const parts = [];
    try {
        if (entry.isFile) {
            count.files += 1;
            return {files: [{path, file: await fileOf(/** @type {FileSystemFileEntry} */ (entry))}], left: []};
        }
        const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
        for (let some = await next(reader); some.length && count.files <= MOST_FILES; some = await next(reader)) {
            parts.push(...await Promise.all(some.map((inner) => walk(inner, count))));
        }
    } catch (error) {
        parts.push({files: [], left: [{path, reason: `the browser cannot read it (${error instanceof Error ? error.message : error})`}]});
    }
    return joined(parts);
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** The next entries of a folder; browsers give at most a hundred at once. @param {FileSystemDirectoryReader} reader @returns {Promise<FileSystemEntry[]>} */
const next = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

/**
 * Sort out files that are neither images nor captions, so that they are not sent.
 * @param {Found} found @param {readonly string[]} endings with dots, in lower case
 * @returns {Found}
 */
export function usable(found, endings) {
    const fits = (/** @type {Incoming} */ {path}) => endings.some((ending) => path.toLowerCase().trim().endsWith(ending));
    const others = found.files.filter((one) => !fits(one));
    return {files: found.files.filter(fits), left: [...found.left,
        ...others.map(({path}) => ({path, reason: "it is neither an image nor a caption"}))]};
}

/**
 * The images on the clipboard, with names that say when they were pasted.
 * @param {FileList|readonly File[]} files @param {Date} now
 * @returns {File[]}
 */
export function pasted(files, now) {
    const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
    const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
    const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
    return [...files].map((file) => /^image\.[a-z]+$/i.test(file.name)
        ? new File([file], `pasted-${day}-${time}${file.name.slice(file.name.lastIndexOf("."))}`, {type: file.type}) : file);
}
