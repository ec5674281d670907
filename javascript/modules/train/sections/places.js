/** Search terms that are not settings: where to find them, or why they are not needed. */

/**
 * @typedef {object} Place
 * @property {string} title
 * @property {string} words its names in other tools
 * @property {string} about
 * @property {string} tab its sub-tab, empty if there is nothing to go to
 * @property {string} [selector] of the element there
 */

/** @type {Place[]} */
export const PLACES = [
    {title: "Image folder", words: "train_data_dir dataset folder", about: "Images, at the top of Train", tab: "train",
        selector: "#tl_dataset_folder"},
    {title: "Presets", words: "preset start from template", about: "Train: Start from", tab: "train",
        selector: ".tl-presets"},
    {title: "Goal", words: "goal plan difficulty how hard category test bake", about: "Train: What do you want to train?",
        tab: "train", selector: "#tl_goal"},
    {title: "Summary", words: "steps memory vram size estimate learning rate curve", about: "Steps, memory and size of " +
        "the run", tab: "train", selector: "#tl_plan"},
    {title: "Resume a run", words: "resume save_state state continue interrupted save_state_on_train_end " +
        "save_last_n_steps_state", about: "Runs: every run saves its state with each epoch; select it and press Resume.",
    tab: "runs"},
    {title: "Queue", words: "queue another run batch overnight", about: "Press Train again while a run is training; " +
        "queued runs are listed in Runs.", tab: "runs"},
    {title: "Log and settings of a run", words: "logging_dir log tensorboard log_with", about: "Runs: each run has its " +
        "loss curve, log and settings.", tab: "runs"},
    {title: "Tag images", words: "tagger wd14 caption interrogate autotag", about: "Captions: open the folder, then Tag.",
        tab: "captions"},
    {title: "Edit captions", words: "tags bulk replace remove trigger activation", about: "Captions", tab: "captions"},
    {title: "X/Y/Z plot of epochs", words: "xyz plot compare epochs strength grid", about: "Test", tab: "test"},
    {title: "Block weights", words: "lbw block weight sliders lora block weight", about: "Test: sliders and plots of blocks",
        tab: "test"},
    {title: "output_dir", words: "output_dir lora folder", about: "LoRAs are saved in the webui's LoRA folder, where it " +
        "finds them.", tab: ""},
];
