/**
 * Run in the page by captions_page.py: one act of a user, and the milliseconds until what it is for is on the screen;
 * null where this version of the page has no such thing.
 */
async (what) => {
    const panel = document.querySelector("#tl-panel-captions"), one = (css) => panel.querySelector(css);
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const until = async (test) => {
        const start = performance.now();
        while (!test()) {
            if (performance.now() - start > 60000) throw new Error("nothing came of " + what.name);
            await frame();
        }
    };
    const type = (box, text) => { box.focus(); box.value = text; box.dispatchEvent(new Event("input", {bubbles: true})); };
    const key = (key) => one(".tl-capgrid").dispatchEvent(new KeyboardEvent("keydown", {key, ctrlKey: true, bubbles: true}));
    const cells = () => [...panel.querySelectorAll(".tl-cell:not([hidden])")];
    const nameOf = (cell) => cell.querySelector(".tl-cell-name").textContent;
    const names = () => cells().filter((cell) => nameOf(cell)).length;
    const toast = (words) => [...document.querySelectorAll(".tl-toast")].some((box) => box.textContent.includes(words));
    const count = () => one(".tl-capcount").textContent, filter = one("#tl_captions_filter");
    const clear = async () => { type(filter, ""); await until(() => !count().includes(" of ")); };
    const timed = async (act, test) => { const start = performance.now(); act(); await until(test); return performance.now() - start; };
    const acts = {
        open: async () => {
            one(".tl-capcount").textContent = "";
            return timed(() => one("#tl_captions_open").click(), () => count().includes("image") && names() > 11);
        },
        filter: async () => {
            const time = await timed(() => type(filter, "tag 12 AND NOT tag 7"), () => count().includes(" of "));
            await clear();
            return time;
        },
        keystroke: async () => {
            let slowest = 0;
            performance.clearResourceTimings();  // else the buffer of 250 is full of modules and thumbnails
            for (let end = 1; end <= what.typed.length; end += 1) {
                const seen = performance.getEntriesByType("resource").length;
                const views = () => performance.getEntriesByType("resource").slice(seen).some(({name}) => name.endsWith("/captions/view"));
                slowest = Math.max(slowest, await timed(() => type(filter, what.typed.slice(0, end)), views));
                await frame();
            }
            await clear();
            performance.clearResourceTimings();
            return slowest;
        },
        complete: async () => {
            const box = one("#tl_action_tags"), list = box.parentElement.querySelector(".tl-complete");
            const time = await timed(() => type(box, "ta"), () => !list.hidden);
            box.blur();
            type(box, "");
            return time;
        },
        choose: async () => {
            const cell = cells().find((other) => other.getAttribute("aria-selected") === "false" && nameOf(other));
            const name = nameOf(cell);
            return timed(() => cell.click(), () => one(".tl-capname").textContent.endsWith(name)
                && !one(".tl-capbody").classList.contains("tl-pending") && one(".tl-capchips li"));
        },
        bulk: async () => {
            key("Escape");
            one('[data-who="shown"]').click();
            document.querySelectorAll(".tl-toast").forEach((box) => box.remove());
            type(one("#tl_action_tags"), "new tag");
            return timed(() => one("#tl_caption_go").click(), () => toast("Added new tag"));
        },
        undo: async () => timed(() => one("#tl_captions_undo").click(), () => toast("Undone")),
        common: async () => {
            if (!one("#tl_common_tags")) return null;
            key("Escape");
            await until(() => !one(".tl-cell[aria-selected=true]"));
            const time = await timed(() => key("a"), () => one(".tl-common") && !one("#tl_common_tags").hidden);
            key("Escape");
            return time;
        },
        history: async () => {
            if (!one("#tl_history_open")) return null;
            const time = await timed(() => one("#tl_history_open").click(), () => document.querySelector(".tl-edit-tag"));
            document.querySelector("dialog[open]").close();
            return time;
        },
    };
    return acts[what.name]();
}