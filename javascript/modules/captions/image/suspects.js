/** The images that the last run on this dataset found suspicious: marks in the grid, and a button that selects them. */

import {format} from "../../core/format.js";
import {button, setLabel, toast} from "../../core/parts.js";

/**
 * @param {import("../set.js").CaptionSet} set @param {(numbers: number[]) => void} show
 * @returns {HTMLButtonElement} hidden if there are none
 */
export function suspectsButton(set, show) {
    const element = button("", {small: true, kind: "quiet", icon: "warning", id: "tl_suspects", hidden: true, click: () => show([...set.suspects.keys()])});

    async function ask() {
        const {folder} = set;
        const found = await set.ask("suspects").catch(() => ({images: [], name: ""}));  // a toast reports it
        if (folder !== set.folder) return;
        set.suspects = new Map(found.images.map(({number, reason}) => [number, reason]));
        element.hidden = !found.images.length;
        setLabel(element, `${format.number(found.images.length)} suspicious in the last run`);
        element.title = found.images.length ? `Select the images that the diagnosis of the run ${found.name} found suspicious` : "";
        set.notify("cells", []);
    }
    set.when("opened", ask);
    set.when("edited", (numbers) => {
        if (numbers.some((number) => set.suspects.has(number))) ask();
    });
    return element;
}

/**
 * Select images by path in the caption editor, whose folder is opened if it is not.
 * @param {{set: import("../set.js").CaptionSet, folder: HTMLInputElement, open: () => Promise<void>, showNumbers: (numbers: number[]) => void}} tab
 * @param {string} folder @param {string[]} paths relative to it
 */
export async function showImages(tab, folder, paths) {
    if (tab.set.folder !== folder) {
        tab.folder.value = folder;
        await tab.open();
        if (tab.set.folder !== folder) return;
    }
    await tab.set.refresh();
    const {numbers} = await tab.set.ask("numbers", {paths});
    const found = numbers.filter((number) => number !== null);
    const gone = paths.length - found.length;
    if (gone) toast("warning", `${format.plural(gone, "image")} ${gone > 1 ? "are" : "is"} no longer in this folder.`);
    if (found.length) tab.showNumbers(found);
}
