/** The functions of the webui's own script.js that the page calls. */
declare function gradioApp(): Document | ShadowRoot;
declare function onUiLoaded(callback: () => void): void;
declare function updateInput(target: Element): void;
declare function switch_to_txt2img(...values: unknown[]): unknown[];
