/**
 * The only script that the webui loads. Once the tab is there, it imports the modules in javascript/modules/ from the
 * address that the tab names, which changes with them.
 */
"use strict";

(() => {
    let asked = false;

    function load() {
        const root = document.getElementById("train_lora_root");
        if (asked || !root || !root.dataset.modules) return;
        asked = true;
        watcher.disconnect();
        import(new URL(root.dataset.modules, document.baseURI).href).catch((problem) => {
            root.textContent = `Train LoRA could not load its page: ${problem.message}. Reload the page; if that does ` +
                "not help, the webui's console says more.";
        });
    }

    const watcher = new MutationObserver(load);
    watcher.observe(document.documentElement, {childList: true, subtree: true});
    load();
})();
