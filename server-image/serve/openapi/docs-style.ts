/** The look of `/docs`: the same colours and cards as `/report`. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1b2430;--dim:#5c6773;--line:#d5dbe1;--paper:#fff;--soft:#f4f6f8;--link:#0b5cad;--bad:#b3261e;--good:#1c7c3c}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--dim:#9aa6b2;--line:#36404a;--paper:#14191f;--soft:#1c232b;--link:#7db8f0;--bad:#ff8a80;--good:#6fd28f}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1100px;padding:24px;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:24px;margin:0;overflow-wrap:anywhere}h2{font-size:18px;margin:32px 0 12px}h3{font-size:15px;margin:0;overflow-wrap:anywhere}p{margin:4px 0;overflow-wrap:anywhere}.dim{color:var(--dim)}
a{color:var(--link)}nav{display:flex;flex-wrap:wrap;gap:4px 16px;margin-top:8px}:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:16px}.fact{background:var(--soft);border-radius:8px;padding:10px 14px}
.fact b{display:block;font-size:clamp(16px,4.5vw,22px);overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.card{border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:0 0 16px;scroll-margin-top:12px}
.method{display:inline-block;font:600 12px/1.6 ui-monospace,monospace;border:1px solid var(--line);border-radius:4px;padding:0 6px;margin-right:8px;color:var(--dim)}
code,pre,textarea{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
pre{margin:8px 0 0;padding:10px 12px;background:var(--soft);border-radius:8px;overflow:auto;max-height:420px;white-space:pre-wrap;overflow-wrap:anywhere}
form{margin-top:10px}label{display:block;color:var(--dim);margin-bottom:4px}textarea{width:100%;min-height:90px;resize:vertical;padding:10px 12px;border:1px solid var(--dim);border-radius:8px;background:var(--paper);color:var(--ink)}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:8px 12px;margin-top:8px}button,select{font:inherit;border-radius:6px;padding:5px 14px;border:1px solid var(--dim);background:var(--paper);color:var(--ink);cursor:pointer}
button.main{background:var(--ink);border-color:var(--ink);color:var(--paper);font-weight:600}.copy{margin-top:8px}button:disabled{opacity:.6;cursor:default}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}details{margin-top:10px}summary{cursor:pointer}
table{border-collapse:collapse;width:100%}th,td{padding:5px 8px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);overflow-wrap:anywhere}th{color:var(--dim);font-weight:600;overflow-wrap:normal}.table{overflow-x:auto}
td:first-child{min-width:90px}[hidden]{display:none}`
