import type { PatientPoint } from '../api/types'
import { cross, dot, subtract, type View } from './geometry'
import type { Plane } from './viewer'

const AXES: Record<Plane, { normal: PatientPoint; up: PatientPoint }> = {
  axial: { normal: [0, 0, -1], up: [0, -1, 0] },
  sagittal: { normal: [1, 0, 0], up: [0, 0, 1] },
  coronal: { normal: [0, -1, 0], up: [0, 0, 1] },
}

/** A view for tests: `point` in the middle of the canvas, cameras as in the viewer. */
export function aView(plane: Plane, change: Partial<Omit<View, 'project'>> = {}): View {
  const { normal, up } = AXES[plane]
  const view = {
    point: [0, 0, 0] as PatientPoint,
    normal,
    up,
    right: cross(up, normal),
    mm_per_pixel: 1,
    spacing_mm: 1,
    slab_mm: 0,
    width: 400,
    height: 300,
    ...change,
  }
  return {
    ...view,
    project: point => {
      const from = subtract(point, view.point)
      return [
        view.width / 2 + dot(from, view.right) / view.mm_per_pixel,
        view.height / 2 - dot(from, view.up) / view.mm_per_pixel,
      ]
    },
  }
}
