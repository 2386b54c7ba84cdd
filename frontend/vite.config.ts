import { defineConfig } from 'vitest/config'

/** A codec nested in the image loader, which the dev server must convert from CommonJS. */
const codec = (name: string, entry = 'decodewasmjs') =>
  `@cornerstonejs/dicom-image-loader > @cornerstonejs/codec-${name}/${entry}`

export default defineConfig({
  // Relative, so that workers and WebAssembly are found wherever the site keeps its static files.
  base: './',
  worker: { format: 'es' },
  optimizeDeps: {
    exclude: ['@cornerstonejs/dicom-image-loader'],
    include: [
      'dicom-parser',
      '@cornerstonejs/dicom-image-loader > pako',
      '@cornerstonejs/dicom-image-loader > @cornerstonejs/jpeg-lossless-decoder-js',
      codec('charls'),
      codec('openjpeg'),
      codec('libjpeg-turbo-8bit'),
      codec('libjxl'),
      codec('openjph', 'wasmjs'),
    ],
  },
  build: {
    target: 'es2022',
    manifest: true,
    chunkSizeWarningLimit: 4500, // Cornerstone3D with vtk.js; fetched beside the form, not before it
    rolldownOptions: {
      input: [
        'src/main.ts',
        'src/outbox/desk.ts',
        'src/display.ts',
        'src/protocol/desk.tsx',
        'src/desk/refresh.ts',
        'src/desk/upload.ts',
        'src/desk/place.tsx',
        'src/desk/panel.ts',
        'src/viewer/create.ts', // by its name, so that a page can ask for it ahead
      ],
      checks: { pluginTimings: false, bundlerTimings: false },
      // The codecs look for Node's modules and do without them in a browser; htmx could evaluate
      // attributes, which is switched off.
      onLog: (level, log, handle) => {
        const known = log.message?.includes('externalized for browser compatibility')
        if (!known && log.code !== 'EVAL') handle(level, log)
      },
    },
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'] },
})
