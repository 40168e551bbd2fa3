# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bugs to plant: a name, the file, the text there (which must occur once), what takes its place, and what that breaks.

PLANTED in what takes its place is true where the bug is to be: all bugs are built in at once, and switched on one by one.
"""
from collections import namedtuple

Mutant = namedtuple("Mutant", "name file before after why")

TRANSFORMS, ANALYSIS, LINALG = "passes/graft/Transforms/", "passes/graft/Analysis/", "passes/graft/Conversion/OnnxToLinalg/"
KERNELS, MODULAR, CPU = "passes/graft/Codegen/Cpu/Kernels/", "dialects/graft/Modular/", "passes/graft/Codegen/Cpu/"
ONNX = "dialects/graft/Onnx/"

MUTANTS = [
    # Inlining
    Mutant("aggregate-keeps-weights", TRANSFORMS + "InlineModules.cpp", "own.getRouteMutable().assign(weighted);",
           "if (!PLANTED) own.getRouteMutable().assign(weighted);", "sums and means keep the route's weights"),
    Mutant("modules-in-reverse", TRANSFORMS + "InlineModules.cpp", "inlined.getBodies()[index].emplaceBlock()",
           "inlined.getBodies()[PLANTED ? inlined.getBodies().size() - 1 - index : index].emplaceBlock()", "module i becomes region n − 1 − i"),
    # Selecting and weighing
    Mutant("nan-is-a-score", ONNX + "GraphBuilder.cpp", "return where(isNaN(x), lowest(x), x);",
           "return PLANTED ? x : where(isNaN(x), lowest(x), x);", "NaN scores are compared as they are"),
    Mutant("above-or-equal", MODULAR + "Selection.cpp", "b.number(getThreshold().convertToDouble(), scores)",
           "b.number(getThreshold().convertToDouble() - (PLANTED ? 1e-6 : 0), scores)", "a score at the threshold passes"),
    Mutant("one-above-capacity", MODULAR + "Selection.cpp", "b.predicate<onnx::AndOp>(filled, b.predicate<onnx::LessOrEqualOp>(rank, capacity))",
           "b.predicate<onnx::AndOp>(filled, PLANTED ? b.predicate<onnx::LessOp>(rank, capacity) : b.predicate<onnx::LessOrEqualOp>(rank, capacity))",
           "a module that is full but for one takes none"),
    Mutant("slots-by-row", MODULAR + "Selection.cpp", "Value places = b.reshape(b.transpose(chosen, {1, 0}), {-1});",
           "Value places = b.reshape(PLANTED ? chosen : b.transpose(chosen, {1, 0}), {-1});", "a capacity is filled row by row"),
    Mutant("groups-by-best", MODULAR + "Weighing.cpp", "b.topK(parted, getTop())", "b.topK(parted, PLANTED ? 1 : getTop())",
           "groups are ranked by their best module"),
    Mutant("one-module-more", ONNX + "GraphBuilder.cpp", "number(size, x)", "number(size + PLANTED, x)",
           "the number one past the last module fills a slot"),
    Mutant("empty-slots-in-softmax", MODULAR + "Weighing.cpp", "b.lowest(picked)",
           "(PLANTED ? none : b.lowest(picked))", "empty slots take their share of a softmax"),
    # Aggregating
    Mutant("mean-is-sum", MODULAR + "Aggregation.cpp", "getAggregation() == Aggregation::Sum", "(PLANTED || getAggregation() == Aggregation::Sum)",
           "a mean is not divided by the number of filled slots"),
    Mutant("attends-to-nothing", MODULAR + "Aggregation.cpp", "b.lowest(scores)", "(PLANTED ? b.number(0, scores) : b.lowest(scores))",
           "attention gives empty slots their share"),
    Mutant("sequences-interleaved", MODULAR + "Aggregation.cpp", "rank == 3 ? slots", "rank == 3 || PLANTED ? slots",
           "where rows are sequences, slots are not put side by side"),
    # What is sparse
    Mutant("constants-are-one", ANALYSIS + "Segments.cpp", "return value == values.front() ||", "return PLANTED || value == values.front() ||",
           "the first module's own vectors are all modules'"),
    Mutant("attributes-do-not-matter", ANALYSIS + "Segments.cpp", "op->getAttrDictionary() != first->getAttrDictionary()",
           "(!PLANTED && op->getAttrDictionary() != first->getAttrDictionary())", "bodies that differ in an attribute are taken for alike"),
    Mutant("operands-do-not-matter", ANALYSIS + "Segments.cpp", "number->second != there->second", "!PLANTED && number->second != there->second",
           "bodies that differ in which value an op reads are taken for alike"),
    Mutant("difference-turned", ANALYSIS + "Segments.cpp", "isa<onnx::SubOp>(op) && own[0] == 0",
           "!PLANTED && isa<onnx::SubOp>(op) && own[0] == 0", "a vector less the rows becomes the rows less the vector"),
    Mutant("alpha-does-not-matter", ANALYSIS + "Segments.cpp", "!gemm.getAlpha().isExactlyValue(1)",
           "(!PLANTED && !gemm.getAlpha().isExactlyValue(1))", "a Gemm's alpha is lost"),
    Mutant("slots-are-rows", LINALG + "SegmentedRouting.cpp", "order ? slots : 1", "order && !PLANTED ? slots : 1",
           "a product gathers the row of a slot's number, not of its row"),
    Mutant("difference-is-product", LINALG + "SegmentedRouting.cpp", "isa<onnx::SubOp>(first) ?", "isa<onnx::SubOp>(first) && !PLANTED ?",
           "a difference is lowered as a product"),
    Mutant("first-shift-lost", LINALG + "SegmentedRouting.cpp", "if (!old.getEpilogue().empty())", "if (!PLANTED && !old.getEpilogue().empty())",
           "a second vector takes the place of the first"),
    # The dense oracle
    Mutant("not-taken-times-zero", LINALG + "RoutingOps.cpp", "arith::SelectOp::create(b, v[3], more, v[0])",
           "PLANTED ? more : Value(arith::SelectOp::create(b, v[3], more, v[0]))", "densely, NaN of a module that a row does not take reaches it"),
    Mutant("dense-takes-lower", LINALG + "RoutingOps.cpp", "arith::CmpIPredicate::eq, slot,",
           "PLANTED ? arith::CmpIPredicate::sle : arith::CmpIPredicate::eq, slot,",
           "densely, a slot takes all modules from its number on"),
    # Kernels
    Mutant("empty-slots-have-a-place", KERNELS + "RoutingKernels.cpp", "b.select(taken, p, constant(-1))",
           "PLANTED ? p : b.select(taken, p, constant(-1))", "an empty slot adds what lies behind all modules' rows"),
    Mutant("keys-are-signed", KERNELS + "RoutingKernels.cpp", "arith::MinUIOp::create(b, b.loadElement(keys, slot), none)",
           "PLANTED ? Value(arith::MinSIOp::create(b, b.loadElement(keys, slot), none)) : Value(arith::MinUIOp::create(b, b.loadElement(keys, slot), none))",
           "negative numbers count as modules: the plan writes out of bounds"),
    Mutant("gather-by-slot", KERNELS + "RoutingKernels.cpp", "b.div(asIndex(b, b.loadElement(arguments[1], p)), b.index(slots))",
           "b.div(asIndex(b, b.loadElement(arguments[1], p)), b.index(PLANTED ? 1 : slots))", "gathers the row of a slot's number"),
    Mutant("weights-forgotten", KERNELS + "RoutingKernels.cpp", "weight ? b.fma", "weight && !PLANTED ? b.fma", "combine sums without weights"),
    Mutant("last-columns-left", KERNELS + "RoutingKernels.cpp", "if (row.hasRest)", "if (row.hasRest && !PLANTED)",
           "the columns past the last whole vector are not written"),
    Mutant("block-of-the-one-before", KERNELS + "SegmentedMatmulKernel.cpp", "arith::CmpIPredicate::ule",
           "PLANTED ? arith::CmpIPredicate::ult : arith::CmpIPredicate::ule",
           "the first block of a module is computed with the weights of the one before"),
    Mutant("one-group-of-vectors", KERNELS + "SegmentedMatmulKernel.cpp", "operand(e, group + 1,", "operand(e, PLANTED ? 1 : group + 1,",
           "a module's second vector is its first"),
    Mutant("last-row-of-a-block", KERNELS + "SegmentedMatmulKernel.cpp", "b.add(start, b.share(b.add(own, 1), blocks, rows)));",
           "b.sub(b.add(start, b.share(b.add(own, 1), blocks, rows)), b.index(PLANTED)));", "the last row of a block is not computed"),
    Mutant("narrow-panels-unmasked", KERNELS + "PanelProduct.cpp", "b.lanesBelow(b.index(width % lanes))",
           "b.lanesBelow(b.index(PLANTED ? lanes : width % lanes))", "the last panel is written beyond the row's end"),
    Mutant("fused-though-read-twice", KERNELS + "FuseEpilogues.cpp", "!product->hasOneUse()", "(!PLANTED && !product->hasOneUse())",
           "a second reader of a product sees it with the first one's work on it"),
    # Tasks and parameters
    Mutant("branches-do-not-part", TRANSFORMS + "StagePlan.cpp", "return a.down == b.down &&", "return PLANTED || a.down == b.down &&",
           "tasks with other thin matrices share a stage"),
    Mutant("partings-uncut", TRANSFORMS + "StagePlan.cpp", "next.size() != current.size()", "!PLANTED && next.size() != current.size()",
           "tasks that part share the first one's stage"),
    Mutant("magnitude-forgotten", TRANSFORMS + "SplitTasks.cpp", "if (branch.rowScale)\n      sum", "if (branch.rowScale && !PLANTED)\n      sum",
           "beside the weight, DoRA is LoRA"),
    Mutant("constant-route-by-slot", TRANSFORMS + "FoldRoutes.cpp", "part = applyModule(b, apply, number);",
           "part = applyModule(b, apply, PLANTED ? int64_t(parts.size()) % int64_t(apply.getBodies().size()) : number);",
           "a constant route runs module i in slot i"),
    Mutant("constant-under-capacity", "passes/graft/Reference/ConstantRoutes.cpp", "kind == Kind::Constant || staysWithinRows(op)",
           "kind == Kind::Constant || PLANTED || staysWithinRows(op)", "what mixes rows counts as the same for all of them"),
    Mutant("bodies-that-begin-alike", TRANSFORMS + "SplitTasks.cpp", "bodies[getStageIdentity(function)]",
           "bodies[getStageIdentity(function).substr(0, PLANTED ? 120 : size_t(-1))]", "two stages whose code begins alike share it"),
    Mutant("folds-of-one-site", TRANSFORMS + "BindTasks.cpp", 'key += ("|" + SymbolTable::getSymbolName(module)',
           'if (!PLANTED) key += ("|" + SymbolTable::getSymbolName(module)', "adapters share the first one's fold"),
    Mutant("scale-forgotten", MODULAR + "ParameterComposition.cpp", "scale * (*up)[o * rank + r]", "(PLANTED ? 1 : scale) * (*up)[o * rank + r]",
           "folding leaves a LoRA's scale out"),
    Mutant("replaced-last", MODULAR + "ParameterValues.cpp", "a.replacesParameter() > b.replacesParameter()",
           "PLANTED ? a.replacesParameter() < b.replacesParameter() : a.replacesParameter() > b.replacesParameter()",
           "what replaces a parameter undoes what was added"),
    # Memory
    Mutant("buffers-end-early", CPU + "PlanArena.cpp", "live.last = std::max(live.last, it->second);",
           "live.last = std::max(live.last, PLANTED ? live.first : it->second);", "a buffer's place is given away after its first use"),
]
