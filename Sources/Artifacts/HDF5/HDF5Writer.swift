import CHDF5
import Foundation
import Synchronization

/// Makes an HDF5 file in memory: groups and little-endian datasets, no times, so that the same
/// content gives the same bytes.
struct HDF5Writer {
  /// A call of libhdf5 that failed; memory, in practice.
  struct Failure: Error { let call: String }

  enum Item {
    case group(path: String)
    case floats(path: String, shape: [Int], values: [Float])
    case integer(path: String, value: Int64)
    case float(path: String, value: Float)
  }

  /// Debian's libhdf5 is not thread-safe: one writer at a time.
  static let lock = Mutex(())

  static func file(_ items: [Item]) throws(Failure) -> Data {
    try lock.withLock { (_) throws(Failure) in try build(items) }
  }

  private static func build(_ items: [Item]) throws(Failure) -> Data {
    let access = try check(H5Pcreate(semg_H5P_FILE_ACCESS()), "H5Pcreate")
    defer { H5Pclose(access) }
    try check(H5Pset_fapl_core(access, 1 << 20, false), "H5Pset_fapl_core")
    let file = try check(
      H5Fcreate("model.weights.h5", semg_H5F_ACC_TRUNC(), semg_H5P_DEFAULT(), access), "H5Fcreate")
    defer { H5Fclose(file) }
    let link = try check(H5Pcreate(semg_H5P_LINK_CREATE()), "H5Pcreate")
    defer { H5Pclose(link) }
    try check(H5Pset_create_intermediate_group(link, 1), "H5Pset_create_intermediate_group")
    let creation = try check(H5Pcreate(semg_H5P_DATASET_CREATE()), "H5Pcreate")
    defer { H5Pclose(creation) }
    try check(H5Pset_obj_track_times(creation, false), "H5Pset_obj_track_times")
    for item in items {
      try add(item, to: file, link: link, creation: creation)
    }
    try check(H5Fflush(file, H5F_SCOPE_GLOBAL), "H5Fflush")
    let size = H5Fget_file_image(file, nil, 0)
    guard size > 0 else { throw Failure(call: "H5Fget_file_image") }
    var data = Data(count: size)
    let copied = data.withUnsafeMutableBytes { H5Fget_file_image(file, $0.baseAddress, $0.count) }
    guard copied == size else { throw Failure(call: "H5Fget_file_image") }
    return data
  }

  private static func add(_ item: Item, to file: hid_t, link: hid_t, creation: hid_t)
    throws(Failure)
  {
    switch item {
    case .group(let path):
      let group = try check(
        H5Gcreate2(file, path, link, semg_H5P_DEFAULT(), semg_H5P_DEFAULT()), "H5Gcreate2")
      H5Gclose(group)
    case .floats(let path, let shape, let values):
      let dims = shape.map { hsize_t($0) }
      let space = try check(H5Screate_simple(Int32(dims.count), dims, nil), "H5Screate_simple")
      defer { H5Sclose(space) }
      try write(
        values, stored: semg_H5T_IEEE_F32LE(), memory: semg_H5T_NATIVE_FLOAT(), space: space,
        path: path, file: file, link: link, creation: creation)
    case .integer(let path, let value):
      let space = try check(H5Screate(H5S_SCALAR), "H5Screate")
      defer { H5Sclose(space) }
      try write(
        [value], stored: semg_H5T_STD_I64LE(), memory: semg_H5T_NATIVE_INT64(), space: space,
        path: path, file: file, link: link, creation: creation)
    case .float(let path, let value):
      let space = try check(H5Screate(H5S_SCALAR), "H5Screate")
      defer { H5Sclose(space) }
      try write(
        [value], stored: semg_H5T_IEEE_F32LE(), memory: semg_H5T_NATIVE_FLOAT(), space: space,
        path: path, file: file, link: link, creation: creation)
    }
  }

  private static func write<Element: BitwiseCopyable>(
    _ values: [Element], stored: hid_t, memory: hid_t, space: hid_t, path: String, file: hid_t,
    link: hid_t, creation: hid_t
  ) throws(Failure) {
    let set = try check(
      H5Dcreate2(file, path, stored, space, link, creation, semg_H5P_DEFAULT()), "H5Dcreate2")
    defer { H5Dclose(set) }
    try check(
      H5Dwrite(set, memory, semg_H5S_ALL(), semg_H5S_ALL(), semg_H5P_DEFAULT(), values),
      "H5Dwrite")
  }

  /// Identifiers and results are negative when a call failed.
  @discardableResult
  private static func check<Status: SignedInteger>(_ status: Status, _ call: String)
    throws(Failure) -> Status
  {
    guard status >= 0 else { throw Failure(call: call) }
    return status
  }
}
