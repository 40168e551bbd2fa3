; Made by triton_matmul.py with Triton 3.9.0: 8192 bytes of shared memory.
; ModuleID = 'LLVMDialectModule'
source_filename = "LLVMDialectModule"
target datalayout = "e-p3:32:32-p4:32:32-p5:32:32-p6:32:32-p7:32:32-p101:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64"

@global_smem = external addrspace(3) global [0 x i8], align 16

; Function Attrs: nounwind
define ptx_kernel void @matmul(ptr addrspace(1) %0, ptr addrspace(1) %1, ptr addrspace(1) %2, i32 %3, i32 %4, ptr addrspace(1) nofree readnone captures(none) %5, ptr addrspace(1) nofree readnone captures(none) %6) local_unnamed_addr #0 {
  %8 = tail call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %9 = shl i32 %8, 5
  %10 = tail call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %11 = lshr i32 %10, 2
  %12 = and i32 %11, 31
  %13 = or disjoint i32 %12, %9
  %14 = icmp slt i32 %13, %3
  %15 = mul i32 %4, %13
  %16 = sext i32 %15 to i64
  %17 = getelementptr [2 x i8], ptr addrspace(1) %0, i64 %16
  %18 = and i32 %10, 3
  %19 = shl nuw nsw i32 %18, 3
  %20 = zext nneg i32 %19 to i64
  %21 = getelementptr [2 x i8], ptr addrspace(1) %17, i64 %20
  %22 = mul i32 %4, %12
  %23 = sext i32 %22 to i64
  %24 = getelementptr [2 x i8], ptr addrspace(1) %1, i64 %23
  %25 = getelementptr [2 x i8], ptr addrspace(1) %24, i64 %20
  %26 = sdiv i32 %4, 32
  %27 = icmp sgt i32 %4, 31
  %28 = and i1 %14, %27
  %29 = shl nuw nsw i32 %10, 4
  %30 = and i32 %29, 2032
  %31 = shl nuw nsw i32 %10, 1
  %32 = and i32 %31, 48
  %33 = xor i32 %30, %32
  %34 = getelementptr i8, ptr addrspace(3) @global_smem, i32 %33
  %35 = select i1 %28, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %34, ptr addrspace(1) %21, i32 %35) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %36 = getelementptr i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 4096), i32 %33
  %37 = select i1 %27, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %36, ptr addrspace(1) %25, i32 %37) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %38 = icmp sgt i32 %4, 63
  %39 = getelementptr i8, ptr addrspace(1) %21, i64 64
  %40 = getelementptr i8, ptr addrspace(1) %25, i64 64
  %41 = and i1 %14, %38
  %42 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 2048), i32 %33
  %43 = select i1 %41, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %42, ptr addrspace(1) %39, i32 %43) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %44 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 6144), i32 %33
  %45 = select i1 %38, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %44, ptr addrspace(1) %40, i32 %45) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %46 = shl nuw nsw i32 %10, 6
  %47 = and i32 %46, 960
  %48 = shl nuw nsw i32 %10, 3
  %49 = and i32 %48, 48
  %50 = and i32 %10, 16
  %51 = and i32 %29, 1024
  %52 = or disjoint i32 %47, %51
  %53 = xor i32 %49, %50
  %54 = or disjoint i32 %52, %53
  %55 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %54
  %56 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %55)
  %57 = and i32 %46, 1472
  %58 = and i32 %10, 8
  %59 = shl nuw nsw i32 %58, 1
  %60 = and i32 %10, 32
  %61 = shl nuw nsw i32 %60, 4
  %62 = or disjoint i32 %57, %61
  %63 = xor i32 %49, %59
  %64 = or disjoint i32 %62, %63
  %65 = getelementptr inbounds nuw i8, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 4096), i32 %64
  %66 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %65)
  br i1 %27, label %.lr.ph, label %._crit_edge

.lr.ph:                                           ; preds = %7
  %67 = extractvalue { i32, i32, i32, i32 } %66, 3
  %68 = bitcast i32 %67 to <2 x half>
  %69 = extractelement <2 x half> %68, i64 1
  %70 = extractelement <2 x half> %68, i64 0
  %71 = extractvalue { i32, i32, i32, i32 } %66, 2
  %72 = bitcast i32 %71 to <2 x half>
  %73 = extractelement <2 x half> %72, i64 1
  %74 = extractelement <2 x half> %72, i64 0
  %75 = extractvalue { i32, i32, i32, i32 } %66, 1
  %76 = bitcast i32 %75 to <2 x half>
  %77 = extractelement <2 x half> %76, i64 1
  %78 = extractelement <2 x half> %76, i64 0
  %79 = extractvalue { i32, i32, i32, i32 } %66, 0
  %80 = bitcast i32 %79 to <2 x half>
  %81 = extractelement <2 x half> %80, i64 1
  %82 = extractelement <2 x half> %80, i64 0
  %83 = extractvalue { i32, i32, i32, i32 } %56, 3
  %84 = bitcast i32 %83 to <2 x half>
  %85 = extractelement <2 x half> %84, i64 1
  %86 = extractelement <2 x half> %84, i64 0
  %87 = extractvalue { i32, i32, i32, i32 } %56, 2
  %88 = bitcast i32 %87 to <2 x half>
  %89 = extractelement <2 x half> %88, i64 1
  %90 = extractelement <2 x half> %88, i64 0
  %91 = extractvalue { i32, i32, i32, i32 } %56, 1
  %92 = bitcast i32 %91 to <2 x half>
  %93 = extractelement <2 x half> %92, i64 1
  %94 = extractelement <2 x half> %92, i64 0
  %95 = extractvalue { i32, i32, i32, i32 } %56, 0
  %96 = bitcast i32 %95 to <2 x half>
  %97 = extractelement <2 x half> %96, i64 1
  %98 = extractelement <2 x half> %96, i64 0
  %99 = add nsw i32 %26, -2
  %100 = xor i32 %54, 32
  %101 = xor i32 %64, 32
  br label %102

102:                                              ; preds = %.lr.ph, %102
  %.pn5098 = phi half [ %69, %.lr.ph ], [ %216, %102 ]
  %.pn5297 = phi half [ %70, %.lr.ph ], [ %215, %102 ]
  %.pn5496 = phi half [ %73, %.lr.ph ], [ %213, %102 ]
  %.pn5695 = phi half [ %74, %.lr.ph ], [ %212, %102 ]
  %.pn5894 = phi half [ %77, %.lr.ph ], [ %210, %102 ]
  %.pn6093 = phi half [ %78, %.lr.ph ], [ %209, %102 ]
  %.pn6292 = phi half [ %81, %.lr.ph ], [ %207, %102 ]
  %.pn6491 = phi half [ %82, %.lr.ph ], [ %206, %102 ]
  %.pn3490 = phi half [ %85, %.lr.ph ], [ %198, %102 ]
  %.pn3689 = phi half [ %86, %.lr.ph ], [ %197, %102 ]
  %.pn3888 = phi half [ %89, %.lr.ph ], [ %195, %102 ]
  %.pn4087 = phi half [ %90, %.lr.ph ], [ %194, %102 ]
  %.pn4286 = phi half [ %93, %.lr.ph ], [ %192, %102 ]
  %.pn4485 = phi half [ %94, %.lr.ph ], [ %191, %102 ]
  %.pn4684 = phi half [ %97, %.lr.ph ], [ %189, %102 ]
  %.pn4883 = phi half [ %98, %.lr.ph ], [ %188, %102 ]
  %103 = phi ptr addrspace(3) [ getelementptr (i8, ptr addrspace(3) @global_smem, i32 4096), %.lr.ph ], [ %180, %102 ]
  %104 = phi ptr addrspace(3) [ @global_smem, %.lr.ph ], [ %179, %102 ]
  %105 = phi i32 [ -1, %.lr.ph ], [ %119, %102 ]
  %106 = phi i32 [ 1, %.lr.ph ], [ %170, %102 ]
  %.pn3282 = phi ptr addrspace(1) [ %40, %.lr.ph ], [ %167, %102 ]
  %.pn1681 = phi ptr addrspace(1) [ %39, %.lr.ph ], [ %166, %102 ]
  %107 = phi float [ 0.000000e+00, %.lr.ph ], [ %218, %102 ]
  %108 = phi float [ 0.000000e+00, %.lr.ph ], [ %219, %102 ]
  %109 = phi float [ 0.000000e+00, %.lr.ph ], [ %220, %102 ]
  %110 = phi float [ 0.000000e+00, %.lr.ph ], [ %221, %102 ]
  %111 = phi float [ 0.000000e+00, %.lr.ph ], [ %223, %102 ]
  %112 = phi float [ 0.000000e+00, %.lr.ph ], [ %224, %102 ]
  %113 = phi float [ 0.000000e+00, %.lr.ph ], [ %225, %102 ]
  %114 = phi float [ 0.000000e+00, %.lr.ph ], [ %226, %102 ]
  %115 = phi i32 [ 0, %.lr.ph ], [ %227, %102 ]
  %116 = icmp slt i32 %115, %99
  %117 = add i32 %105, 1
  %118 = icmp sgt i32 %117, 1
  %119 = select i1 %118, i32 0, i32 %117
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %120 = getelementptr inbounds nuw i8, ptr addrspace(3) %104, i32 %100
  %121 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %120)
  %122 = extractvalue { i32, i32, i32, i32 } %121, 0
  %123 = extractvalue { i32, i32, i32, i32 } %121, 1
  %124 = extractvalue { i32, i32, i32, i32 } %121, 2
  %125 = extractvalue { i32, i32, i32, i32 } %121, 3
  %126 = getelementptr inbounds nuw i8, ptr addrspace(3) %103, i32 %101
  %127 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %126)
  %128 = extractvalue { i32, i32, i32, i32 } %127, 0
  %129 = extractvalue { i32, i32, i32, i32 } %127, 1
  %130 = extractvalue { i32, i32, i32, i32 } %127, 2
  %131 = extractvalue { i32, i32, i32, i32 } %127, 3
  %132 = insertelement <2 x half> poison, half %.pn4883, i64 0
  %133 = insertelement <2 x half> %132, half %.pn4684, i64 1
  %134 = bitcast <2 x half> %133 to i32
  %135 = insertelement <2 x half> poison, half %.pn4485, i64 0
  %136 = insertelement <2 x half> %135, half %.pn4286, i64 1
  %137 = bitcast <2 x half> %136 to i32
  %138 = insertelement <2 x half> poison, half %.pn4087, i64 0
  %139 = insertelement <2 x half> %138, half %.pn3888, i64 1
  %140 = bitcast <2 x half> %139 to i32
  %141 = insertelement <2 x half> poison, half %.pn3689, i64 0
  %142 = insertelement <2 x half> %141, half %.pn3490, i64 1
  %143 = bitcast <2 x half> %142 to i32
  %144 = insertelement <2 x half> poison, half %.pn6491, i64 0
  %145 = insertelement <2 x half> %144, half %.pn6292, i64 1
  %146 = bitcast <2 x half> %145 to i32
  %147 = insertelement <2 x half> poison, half %.pn6093, i64 0
  %148 = insertelement <2 x half> %147, half %.pn5894, i64 1
  %149 = bitcast <2 x half> %148 to i32
  %150 = insertelement <2 x half> poison, half %.pn5695, i64 0
  %151 = insertelement <2 x half> %150, half %.pn5496, i64 1
  %152 = bitcast <2 x half> %151 to i32
  %153 = insertelement <2 x half> poison, half %.pn5297, i64 0
  %154 = insertelement <2 x half> %153, half %.pn5098, i64 1
  %155 = bitcast <2 x half> %154 to i32
  %156 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %107, float %108, float %109, float %110, i32 %134, i32 %137, i32 %140, i32 %143, i32 %146, i32 %149) #2
  %157 = extractvalue { float, float, float, float } %156, 0
  %158 = extractvalue { float, float, float, float } %156, 1
  %159 = extractvalue { float, float, float, float } %156, 2
  %160 = extractvalue { float, float, float, float } %156, 3
  %161 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %111, float %112, float %113, float %114, i32 %134, i32 %137, i32 %140, i32 %143, i32 %152, i32 %155) #2
  %162 = extractvalue { float, float, float, float } %161, 0
  %163 = extractvalue { float, float, float, float } %161, 1
  %164 = extractvalue { float, float, float, float } %161, 2
  %165 = extractvalue { float, float, float, float } %161, 3
  %166 = getelementptr i8, ptr addrspace(1) %.pn1681, i64 64
  %167 = getelementptr i8, ptr addrspace(1) %.pn3282, i64 64
  %168 = add i32 %106, 1
  %169 = icmp sgt i32 %168, 1
  %170 = select i1 %169, i32 0, i32 %168
  %171 = shl i32 %170, 10
  %172 = and i1 %14, %116
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %gep = getelementptr [2 x i8], ptr addrspace(3) %34, i32 %171
  %173 = select i1 %172, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %gep, ptr addrspace(1) %166, i32 %173) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %gep80 = getelementptr [2 x i8], ptr addrspace(3) %36, i32 %171
  %174 = select i1 %116, i32 16, i32 0
  tail call void asm sideeffect "cp.async.cg.shared.global [ $0 + 0 ], [ $1 + 0 ], 0x10, $2;", "r,l,r"(ptr addrspace(3) %gep80, ptr addrspace(1) %167, i32 %174) #2
  tail call void @llvm.nvvm.cp.async.commit.group()
  %175 = add i32 %119, 1
  %176 = icmp sgt i32 %175, 1
  %177 = shl i32 %175, 10
  %178 = select i1 %176, i32 0, i32 %177
  %179 = getelementptr [2 x i8], ptr addrspace(3) @global_smem, i32 %178
  %180 = getelementptr [2 x i8], ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @global_smem, i32 4096), i32 %178
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.cp.async.wait.group(i32 2)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %181 = getelementptr inbounds nuw i8, ptr addrspace(3) %179, i32 %54
  %182 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %181)
  %183 = extractvalue { i32, i32, i32, i32 } %182, 0
  %184 = extractvalue { i32, i32, i32, i32 } %182, 1
  %185 = extractvalue { i32, i32, i32, i32 } %182, 2
  %186 = extractvalue { i32, i32, i32, i32 } %182, 3
  %187 = bitcast i32 %183 to <2 x half>
  %188 = extractelement <2 x half> %187, i64 0
  %189 = extractelement <2 x half> %187, i64 1
  %190 = bitcast i32 %184 to <2 x half>
  %191 = extractelement <2 x half> %190, i64 0
  %192 = extractelement <2 x half> %190, i64 1
  %193 = bitcast i32 %185 to <2 x half>
  %194 = extractelement <2 x half> %193, i64 0
  %195 = extractelement <2 x half> %193, i64 1
  %196 = bitcast i32 %186 to <2 x half>
  %197 = extractelement <2 x half> %196, i64 0
  %198 = extractelement <2 x half> %196, i64 1
  %199 = getelementptr inbounds nuw i8, ptr addrspace(3) %180, i32 %64
  %200 = tail call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %199)
  %201 = extractvalue { i32, i32, i32, i32 } %200, 0
  %202 = extractvalue { i32, i32, i32, i32 } %200, 1
  %203 = extractvalue { i32, i32, i32, i32 } %200, 2
  %204 = extractvalue { i32, i32, i32, i32 } %200, 3
  %205 = bitcast i32 %201 to <2 x half>
  %206 = extractelement <2 x half> %205, i64 0
  %207 = extractelement <2 x half> %205, i64 1
  %208 = bitcast i32 %202 to <2 x half>
  %209 = extractelement <2 x half> %208, i64 0
  %210 = extractelement <2 x half> %208, i64 1
  %211 = bitcast i32 %203 to <2 x half>
  %212 = extractelement <2 x half> %211, i64 0
  %213 = extractelement <2 x half> %211, i64 1
  %214 = bitcast i32 %204 to <2 x half>
  %215 = extractelement <2 x half> %214, i64 0
  %216 = extractelement <2 x half> %214, i64 1
  %217 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %157, float %158, float %159, float %160, i32 %122, i32 %123, i32 %124, i32 %125, i32 %128, i32 %129) #2
  %218 = extractvalue { float, float, float, float } %217, 0
  %219 = extractvalue { float, float, float, float } %217, 1
  %220 = extractvalue { float, float, float, float } %217, 2
  %221 = extractvalue { float, float, float, float } %217, 3
  %222 = tail call { float, float, float, float } asm sideeffect "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 { $0, $1, $2, $3 }, { $8, $9, $10, $11 }, { $12, $13 }, { $4, $5, $6, $7 };", "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r"(float %162, float %163, float %164, float %165, i32 %122, i32 %123, i32 %124, i32 %125, i32 %130, i32 %131) #2
  %223 = extractvalue { float, float, float, float } %222, 0
  %224 = extractvalue { float, float, float, float } %222, 1
  %225 = extractvalue { float, float, float, float } %222, 2
  %226 = extractvalue { float, float, float, float } %222, 3
  %227 = add nuw nsw i32 %115, 1
  %exitcond.not = icmp eq i32 %227, %26
  br i1 %exitcond.not, label %._crit_edge, label %102

._crit_edge:                                      ; preds = %102, %7
  %228 = phi float [ 0.000000e+00, %7 ], [ %218, %102 ]
  %229 = phi float [ 0.000000e+00, %7 ], [ %219, %102 ]
  %230 = phi float [ 0.000000e+00, %7 ], [ %220, %102 ]
  %231 = phi float [ 0.000000e+00, %7 ], [ %221, %102 ]
  %232 = phi float [ 0.000000e+00, %7 ], [ %223, %102 ]
  %233 = phi float [ 0.000000e+00, %7 ], [ %224, %102 ]
  %234 = phi float [ 0.000000e+00, %7 ], [ %225, %102 ]
  %235 = phi float [ 0.000000e+00, %7 ], [ %226, %102 ]
  %236 = shl nuw nsw i32 %10, 2
  %237 = and i32 %236, 28
  %238 = lshr i32 %10, 3
  %239 = and i32 %238, 15
  %240 = or disjoint i32 %9, %239
  %241 = or disjoint i32 %240, 16
  %242 = icmp slt i32 %241, %3
  %243 = icmp slt i32 %240, %3
  tail call void @llvm.nvvm.cp.async.wait.group(i32 0)
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %244 = shl i32 %240, 5
  %245 = shl i32 %241, 5
  %246 = sext i32 %244 to i64
  %247 = getelementptr [4 x i8], ptr addrspace(1) %2, i64 %246
  %248 = sext i32 %245 to i64
  %249 = getelementptr [4 x i8], ptr addrspace(1) %2, i64 %248
  %250 = zext nneg i32 %237 to i64
  %251 = getelementptr [4 x i8], ptr addrspace(1) %247, i64 %250
  %252 = getelementptr [4 x i8], ptr addrspace(1) %249, i64 %250
  %253 = and i32 %48, 640
  %254 = and i32 %10, 1
  %255 = icmp eq i32 %254, 0
  %256 = select i1 %255, i32 0, i32 2056
  %257 = and i32 %29, 32
  %258 = and i32 %236, 16
  %259 = icmp eq i32 %58, 0
  %260 = select i1 %259, i32 0, i32 1088
  %261 = shl nuw nsw i32 %60, 1
  %262 = or disjoint i32 %260, %253
  %263 = xor i32 %262, %261
  %264 = or disjoint i32 %258, %257
  %265 = or disjoint i32 %264, %256
  %266 = or disjoint i32 %265, %263
  %267 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %266
  %268 = insertelement <2 x float> poison, float %228, i64 0
  %269 = insertelement <2 x float> %268, float %229, i64 1
  store <2 x float> %269, ptr addrspace(3) %267, align 8
  %270 = getelementptr inbounds nuw i8, ptr addrspace(3) %267, i32 256
  %271 = insertelement <2 x float> poison, float %230, i64 0
  %272 = insertelement <2 x float> %271, float %231, i64 1
  store <2 x float> %272, ptr addrspace(3) %270, align 8
  %273 = xor i32 %266, 8
  %274 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %273
  %275 = insertelement <2 x float> poison, float %232, i64 0
  %276 = insertelement <2 x float> %275, float %233, i64 1
  store <2 x float> %276, ptr addrspace(3) %274, align 8
  %277 = getelementptr inbounds nuw i8, ptr addrspace(3) %274, i32 256
  %278 = insertelement <2 x float> poison, float %234, i64 0
  %279 = insertelement <2 x float> %278, float %235, i64 1
  store <2 x float> %279, ptr addrspace(3) %277, align 8
  tail call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %280 = shl nuw nsw i32 %18, 5
  %281 = and i32 %236, 384
  %282 = and i32 %31, 24
  %283 = icmp eq i32 %50, 0
  %284 = select i1 %283, i32 0, i32 1088
  %285 = or disjoint i32 %280, %281
  %286 = or disjoint i32 %284, %282
  %287 = xor i32 %286, %285
  %288 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %287
  %289 = getelementptr inbounds nuw i8, ptr addrspace(3) %288, i32 512
  %290 = load <2 x i32>, ptr addrspace(3) %289, align 8
  %291 = xor i32 %287, 2056
  %292 = getelementptr inbounds nuw i8, ptr addrspace(3) @global_smem, i32 %291
  %293 = getelementptr inbounds nuw i8, ptr addrspace(3) %292, i32 512
  %294 = load <2 x i32>, ptr addrspace(3) %293, align 8
  %.extract = load i32, ptr addrspace(3) %288, align 8
  %295 = getelementptr inbounds nuw i8, ptr addrspace(3) %288, i32 4
  %.extract72 = load i32, ptr addrspace(3) %295, align 4
  %.extract73 = load i32, ptr addrspace(3) %292, align 8
  %296 = getelementptr inbounds nuw i8, ptr addrspace(3) %292, i32 4
  %.extract74 = load i32, ptr addrspace(3) %296, align 4
  tail call void asm sideeffect "@$5 st.global.v4.b32 [ $4 + 0 ], { $0, $1, $2, $3 };", "r,r,r,r,l,b"(i32 %.extract, i32 %.extract72, i32 %.extract73, i32 %.extract74, ptr addrspace(1) %251, i1 %243) #2
  %.extract75 = extractelement <2 x i32> %290, i64 0
  %.extract76 = extractelement <2 x i32> %290, i64 1
  %.extract77 = extractelement <2 x i32> %294, i64 0
  %.extract78 = extractelement <2 x i32> %294, i64 1
  tail call void asm sideeffect "@$5 st.global.v4.b32 [ $4 + 0 ], { $0, $1, $2, $3 };", "r,r,r,r,l,b"(i32 %.extract75, i32 %.extract76, i32 %.extract77, i32 %.extract78, ptr addrspace(1) %252, i1 %242) #2
  ret void
}

; Function Attrs: mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare noundef range(i32 0, 2147483647) i32 @llvm.nvvm.read.ptx.sreg.ctaid.x() #1

; Function Attrs: mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none)
declare noundef range(i32 0, 1024) i32 @llvm.nvvm.read.ptx.sreg.tid.x() #1

; Function Attrs: nounwind
declare void @llvm.nvvm.cp.async.commit.group() #2

; Function Attrs: nounwind
declare void @llvm.nvvm.cp.async.wait.group(i32 immarg) #2

; Function Attrs: convergent nocallback nounwind
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32) #3

; Function Attrs: convergent nocallback nofree nounwind memory(argmem: read)
declare { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) readonly captures(none)) #4

attributes #0 = { nounwind "nvvm.reqntid"="128" }
attributes #1 = { mustprogress nocallback nofree nosync nounwind speculatable willreturn memory(none) }
attributes #2 = { nounwind }
attributes #3 = { convergent nocallback nounwind }
attributes #4 = { convergent nocallback nofree nounwind memory(argmem: read) }
