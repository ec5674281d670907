/** Shows the progress of the run in the title of the browser's tab. */

import {on} from "../../core/dom.js";
import {prefixOf, withPrefix} from "./title_words.js";

const SECONDS = 2;
let prefix = "";
let before = "";

function write() {
    const title = withPrefix(document.title, before, prefix);
    before = prefix;
    if (document.title !== title) document.title = title;
}

on("runs", (runs) => {
    prefix = prefixOf(runs.find((run) => run.alive));
    write();
});
setInterval(() => {
    if (prefix || before) write();  // the webui has restored its own title
}, 1000 * SECONDS);
