// Estimates of memory, time and disk, for the recipes of the guide and for the config.env builder, which also checks
// what is typed by the patterns of the scripts and writes the file. Nothing is sent and nothing is stored.
(() => {
  const source = document.getElementById("builder-facts");
  if (!source) return;
  const facts = JSON.parse(source.textContent);
  const words = facts.words;
  const fields = new Map(facts.fields.map((field) => [field.name, field]));

  // --- estimates ---------------------------------------------------------------------------------------------

  const defaultOf = (field, version) => (typeof field.default === "string" ? field.default : field.default[version]);

  const valueOf = (values, name) => {
    const version = values.TRAIN_VERSION === "prompt" ? "prompt" : "non-prompt";
    const field = fields.get(name);
    return values[name] || defaultOf(field, version) || field.training || "no";
  };

  // As 02_train.sbatch computes it.
  const memoryWithoutCheckpointing = (values, stage) => {
    const need = facts.memory[stage];
    const of = (flag) => valueOf(values, `${stage.toUpperCase()}_${flag.toUpperCase()}`);
    const several = Number(valueOf(values, "NUM_GPUS")) * Number(valueOf(values, "NUM_NODES")) > 1;
    return Math.floor(need.checkpointing_off[0] + need.checkpointing_off[1] * Number(of("nframes")) * Number(of("train_batch_size"))
      + (several ? need.several_gpus : 0) + (of("validation_image") === "[]" ? 0 : need.validation) + 1);
  };

  const estimateStage = (values, stage, gpu) => {
    const { measured } = facts;
    const of = (flag) => valueOf(values, `${stage.toUpperCase()}_${flag.toUpperCase()}`);
    const steps = Number(of("max_train_steps"));
    const every = Number(of("checkpointing_steps"));
    const choice = of("gradient_checkpointing");
    const checkpointing = choice === "yes" || (choice === "auto" && gpu <= memoryWithoutCheckpointing(values, stage));
    const usual = of("resolution") === String(measured.resolution) && of("use_8bit_adam") === "no"
      && of("enable_xformers_memory_efficient_attention") === "no" && of("mixed_precision") !== "no";
    const setting = usual && measured.settings.find((each) => each.stage === stage && !each.upstream
      && each.nframes === Number(of("nframes")) && each.batch === Number(of("train_batch_size")) && each.checkpointing === checkpointing);
    const floor = facts.state[stage][of("use_8bit_adam")];
    const copies = facts.gradients[stage];
    const memory = setting && setting.memory ? setting.memory[2] : null;
    const validation = of("validation_image") !== "[]";
    const saving = measured.saving[stage];
    let hours = null;
    if (setting && setting.steps_per_second) {
      const validations = validation ? 1 + Math.floor(steps / Number(of("validation_steps"))) : 0;
      const pauses = Math.ceil(steps / every) * saving.save_seconds + validations * saving.validation_seconds + saving.convert_seconds;
      hours = (steps * Number(of("gradient_accumulation_steps")) / setting.steps_per_second + pauses) / 3600;
    }
    const peakOfValidation = measured.validation_peak[stage];
    const known = !validation || gpu >= measured.gpu_gib || (!checkpointing && peakOfValidation !== undefined);
    const peak = memory && validation && !checkpointing ? Math.max(memory, peakOfValidation || 0) : memory;
    let verdict = "unknown";
    if (floor > gpu || (setting && !setting.memory && gpu <= measured.gpu_gib) || (peak && peak > gpu)) verdict = "no";
    else if (peak && peak > 0.95 * gpu) verdict = "tight";
    else if (peak) verdict = !known ? "training" : peak + copies <= gpu ? "fits" : "one";
    const disk = Math.min(Math.ceil(steps / every), Number(of("checkpoints_total_limit"))) * saving.checkpoint_gb
      + facts.disk.training[stage];
    return { memory, floor, hours, verdict, disk };
  };

  const slurmHours = (time) => {
    if (time === "none") return Infinity;
    const [days, rest] = time.includes("-") ? time.split("-") : [null, time];
    const parts = rest.split(":").map(Number);
    const [h, m, s] = days !== null ? [...parts, 0, 0] : parts.length === 3 ? parts : [0, ...parts, 0];
    return Number(days || 0) * 24 + h + m / 60 + s / 3600;
  };

  const estimate = (values, gpu) => {
    const stages = { stage1: estimateStage(values, "stage1", gpu), stage2: estimateStage(values, "stage2", gpu) };
    const wanted = values.STAGE || "all";
    const hours = ["stage1", "stage2"].filter((stage) => wanted === "all" || wanted === stage.slice(-1)).map((stage) => stages[stage].hours);
    let disk = facts.disk.downloads + facts.disk.unpacked + facts.disk.environment + stages.stage1.disk + stages.stage2.disk;
    if (values.DPO_DATASET === "no") disk -= facts.disk.dpo;
    if (values.KEEP_DOWNLOADS === "no") disk -= facts.disk.unpacked;
    const total = hours.some((each) => each === null) ? null : hours.reduce((a, b) => a + b, 0);
    const jobs = total === null ? null : Math.max(1, Math.ceil(total / slurmHours(valueOf(values, "TRAIN_TIME"))));
    return { stages, disk, hours: total, jobs };
  };

  // --- recipes: the figures in their texts are estimates for their lines -------------------------------------

  for (const element of document.querySelectorAll("[data-recipe]")) {
    const recipe = facts.recipes[element.dataset.recipe];
    const found = estimate(recipe.values, recipe.gpu);
    const hours = found.hours === null ? "?" : found.hours.toFixed(found.hours < 15 ? 1 : 0);
    const figures = {
      hours,
      minutes: found.hours === null ? "?" : Math.ceil(found.hours * 60),
      jobs: found.jobs ?? "?",
      stage1: found.stages.stage1.memory ?? "?",
      stage2: found.stages.stage2.memory ?? "?",
    };
    element.textContent = figures[element.dataset.figure];
  }
  window.estimate = estimate; // for the tests

  // --- the builder --------------------------------------------------------------------------------------------

  const form = document.getElementById("builder-form");
  if (!form) return;
  const output = document.getElementById("builder-output");
  const problems = document.getElementById("builder-problems");
  const control = (name) => document.getElementById(`f-${name}`);
  const placeholderOfToken = control("HF_TOKEN").placeholder;
  for (const kind of Object.values(facts.kinds)) kind.test = new RegExp(`^(?:${kind.pattern})$`);

  const given = () => {
    const values = {};
    for (const name of fields.keys()) {
      const value = control(name).value.trim();
      if (value !== "") values[name] = value;
    }
    return values;
  };

  // --- checks, the same as the launcher's ---------------------------------------------------------------

  const listed = (values, name) => {
    const text = values[name] ?? defaultOf(fields.get(name), "non-prompt");
    return Math.floor((text.match(/'/g) || []).length / 2);
  };

  const check = (values) => {
    const wrong = new Map();
    for (const [name, value] of Object.entries(values)) {
      const kind = facts.kinds[fields.get(name).kind];
      if (!kind.test.test(value)) wrong.set(name, `${words.must_be} ${kind.words}`);
      else if (value.includes('"') && value.includes("'")) wrong.set(name, words.quotes);
    }
    if (values.ENV_TOOL === "uv" && values.CONDA_MODULE) wrong.set("ENV_TOOL", words.two_tools);
    for (const stage of ["STAGE1", "STAGE2"]) {
      const lengths = ["IMAGE", "MASK", "PROMPT"].map((part) => listed(values, `${stage}_VALIDATION_${part}`));
      if (new Set(lengths).size > 1) wrong.set(`${stage}_VALIDATION_IMAGE`, `${words.lists} (${lengths.join(", ")})`);
      for (const word of (values[`${stage}_EXTRA_ARGS`] || "").split(/\s+/)) {
        const own = `${stage}_${word.slice(2).split("=")[0].toUpperCase()}`;
        if (word.startsWith("--") && fields.has(own)) wrong.set(`${stage}_EXTRA_ARGS`, `${word.split("=")[0]} ${words.own_variable}: ${own}`);
      }
    }
    return wrong;
  };

  // --- the file --------------------------------------------------------------------------------------------

  const quoted = (value) => {
    if (/^[^\s"'#]+$/.test(value)) return value;
    return value.includes('"') ? `'${value}'` : `"${value}"`;
  };

  const write = (values, version) => {
    const lines = [
      `HF_TOKEN=${quoted(values.HF_TOKEN || placeholderOfToken)}`,
      `TRAIN_VERSION=${version}`,
    ];
    let group = "edits";
    for (const [name, field] of fields) {
      if (field.group === "edits" || !(name in values)) continue;
      if (field.group !== group) lines.push("", `# -- ${facts.groups[field.group]}`);
      group = field.group;
      lines.push(`${name}=${quoted(values[name])}`);
    }
    return `${lines.join("\n")}\n`;
  };

  const showEstimates = (values) => {
    const gpu = Number(document.getElementById("builder-gpu").value);
    const found = estimate(values, gpu);
    const show = (name, text) => say(document.querySelector(`[data-estimate="${name}"]`), text);
    show("disk", `${Math.round(found.disk)} GB`);
    show("time", found.hours === null ? words.unmeasured : `${found.hours.toFixed(1)} ${words.hours}${words.comma}${words.jobs}${words.colon}${found.jobs}`);
    for (const [stage, each] of Object.entries(found.stages)) {
      const amount = each.memory === null ? `≥ ${each.floor.toFixed(1)} ${words.floor}` : `${each.memory} GiB`;
      show(stage, amount + words.colon + words[`verdict_${each.verdict}`]);
    }
    return found;
  };

  // --- the page ------------------------------------------------------------------------------------------------

  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  const refresh = () => {
    const values = given();
    const version = values.TRAIN_VERSION === "prompt" ? "prompt" : "non-prompt";
    const wrong = check(values);
    for (const [name, field] of fields) {
      const input = control(name);
      say(document.getElementById(`e-${name}`), wrong.get(name) || "");
      if (wrong.has(name)) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
      if (typeof field.default === "string") continue;
      const shown = defaultOf(field, version) || field.training;
      if (input.tagName === "SELECT") say(input.options[0], shown ? `${shown} (${words.by_default})` : words.unset);
      else input.placeholder = shown;
    }
    output.textContent = write(values, version);
    problems.textContent = wrong.size ? `${wrong.size} ${words.problems}${words.colon}${[...wrong.keys()].join(words.comma)}` : "";
    for (const id of ["builder-copy", "builder-download"]) document.getElementById(id).disabled = wrong.size > 0;
    if (!wrong.size) showEstimates(values);
  };

  let ofRecipe = []; // what the last recipe set; what was typed stays

  form.addEventListener("input", refresh);
  document.getElementById("builder-gpu").addEventListener("input", refresh);
  document.getElementById("builder-recipe").addEventListener("input", (event) => {
    const values = facts.recipes[event.target.value]?.values || {};
    for (const name of ofRecipe) control(name).value = "";
    for (const [name, value] of Object.entries(values)) control(name).value = value;
    ofRecipe = Object.keys(values);
    refresh();
  });
  document.getElementById("builder-reset").addEventListener("click", () => {
    form.reset();
    refresh();
  });
  document.getElementById("builder-copy").addEventListener("click", async (event) => {
    await navigator.clipboard.writeText(output.textContent);
    event.target.textContent = words.copied;
    setTimeout(() => { event.target.textContent = words.copy; }, 1500);
  });
  document.getElementById("builder-download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([output.textContent], { type: "text/plain" }));
    link.download = "config.env";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  form.reset();
  refresh();
})();
