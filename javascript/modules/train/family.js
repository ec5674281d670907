/** What the chosen checkpoint is: its family, the defaults that go with it, and the settings that do nothing for it. */
"use strict";

(() => {
    const TL = window.TrainLora;

    /** @type {{name: string, problem: string, defaults: Record<string, any>, unused: Record<string, string>, base: string,
     *     notes: string[]}|null} */
    TL.family = null;

    let asked = "";

    function chosen() {
        const {form, host} = TL;
        if (form.isChanged("base.checkpoint")) return form.get("base.checkpoint");
        return (host && host.checkpoint && host.checkpoint.path) || "";
    }

    async function look() {
        const path = chosen();
        if (path === asked) return;
        asked = path;
        const found = path ? await TL.api(`family?path=${encodeURIComponent(path)}`, {quiet: true}).catch(() => null) : null;
        if (path !== asked) return; // another was chosen meanwhile
        const before = TL.family;
        TL.family = found;
        TL.emit("family", found);
        const keys = [before, found].flatMap((family) => Object.keys((family && family.defaults) || {}));
        if (keys.length) TL.emit("setting", {keys: [...new Set(keys)]});
    }

    /** @param {string} group @returns {Record<string, any>} the checkpoint's own defaults for the settings of a group */
    function familyDefaults(group) {
        const own = Object.entries((TL.family && TL.family.defaults) || {}).map(([key, value]) => [key.split("."), value]);
        return Object.fromEntries(own.filter(([path]) => path[0] === group).map(([path, value]) => [path[1], value]));
    }

    /** @returns {string} the checkpoint's family and base as further parameters of a request */
    function familyQuery() {
        const {name = "", base = ""} = TL.family || {};
        return `&family=${encodeURIComponent(name)}&base=${encodeURIComponent(base)}`;
    }

    TL.familyDefaults = familyDefaults;
    TL.familyQuery = familyQuery;
    TL.on("host", look);
    TL.on("setting", ({keys}) => {
        if (keys.includes("base.checkpoint")) look();
    });
})();
